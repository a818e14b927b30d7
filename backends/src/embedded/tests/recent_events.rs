//! An event that is queued while a claim runs.

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

/// A clock that advances with each read, and queues an event just after one.
#[derive(Default)]
struct RacingClock {
    now_ms: AtomicU64,
    then: Mutex<Option<(Store, Event)>>,
}

impl std::fmt::Debug for RacingClock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RacingClock").finish_non_exhaustive()
    }
}

impl Clock for RacingClock {
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
async fn an_event_queued_during_a_claim_is_delivered_before_older_ones() {
    let clock = Arc::new(RacingClock::default());
    let limits = QueueLimits::default();
    let store = Store::new(MemoryKv::default(), Arc::clone(&clock) as _, limits).unwrap();
    for _ in 0..2000 {
        store.enqueue(event("old", 7)).await.unwrap();
    }
    // Empties the list of recent events, which holds older ones.
    while !store.0.recent_events.take(2000).is_empty() {}
    let event = event("new", 7);
    let new = event.id.clone();
    *clock.then.lock() = Some((store.clone(), event));
    let mut claimed = store.claim(4, LEASE).await.unwrap();
    claimed.extend(store.claim(4, LEASE).await.unwrap());
    assert!(claimed.iter().any(|claimed| claimed.event.id == new));
}
