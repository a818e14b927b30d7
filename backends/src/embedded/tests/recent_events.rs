//! An event that is queued while a claim looks.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use super::super::EmbeddedStore;
use super::super::kv::Batch;
use super::super::kv::memory::MemoryKv;
use crate::callback_queue::CallbackQueue;
use crate::clock::Clock;
use crate::conformance::fixture::event;
use crate::event::Event;
use crate::settings::QueueLimits;

const LEASE: Duration = Duration::from_secs(60);

type Store = EmbeddedStore<MemoryKv>;

/// When somebody reads it, the millisecond ends, and an event is queued in the next one.
#[derive(Default)]
struct Racing {
    now_ms: AtomicU64,
    then: Mutex<Option<(Store, Event)>>,
}

impl std::fmt::Debug for Racing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Racing").finish_non_exhaustive()
    }
}

impl Clock for Racing {
    fn now_ms(&self) -> u64 {
        let read_ms = self.now_ms.fetch_add(1, Ordering::SeqCst);
        if let Some((store, event)) = self.then.lock().take() {
            let mut batch = Batch::default();
            store.0.queue_event(event, read_ms + 1, &mut batch).unwrap();
            store.0.apply_events(batch).unwrap();
        }
        read_ms
    }

    fn uptime_ms(&self) -> u64 {
        self.now_ms.load(Ordering::SeqCst)
    }
}

#[tokio::test]
async fn it_comes_before_the_backlog() {
    let clock = Arc::new(Racing::default());
    let limits = QueueLimits::default();
    let store = Store::new(MemoryKv::default(), Arc::clone(&clock) as _, limits).unwrap();
    for _ in 0..2000 {
        store.enqueue(event("backlog", 7)).await.unwrap();
    }
    // What is left in the list of new ones is the backlog's.
    while !store.0.fresh.take(2000).is_empty() {}
    let event = event("new", 7);
    let new = event.id.clone();
    *clock.then.lock() = Some((store.clone(), event));
    let mut claimed = store.claim(4, LEASE).await.unwrap();
    claimed.extend(store.claim(4, LEASE).await.unwrap());
    assert!(claimed.iter().any(|claimed| claimed.event.id == new));
}
