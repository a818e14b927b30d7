//! Who lets the queue fill up. Where more than half of `max_pending` waits, accesses are refused
//! whose receiver fails: the rest of the queue is for those that answer.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use asset_gateway_backends::callback_queue::CallbackQueue;
use parking_lot::Mutex;
use tokio::time::Instant;
use url::Url;

/// A receiver fails when it has failed as often in a row.
const FAILURES: u32 = 8;
/// What is known of a receiver that has not been tried for so long says nothing any more: its next
/// events tell.
const KNOWN_FOR: Duration = Duration::from_secs(60);
/// Receivers that are remembered at the most.
const REMEMBERED: usize = 4096;

/// The queue, and how its receivers do.
pub struct CircuitBreaker {
    queue: Arc<dyn CallbackQueue>,
    /// By host and port; those that have failed since they last answered.
    failing: Mutex<HashMap<Arc<str>, Failing>>,
}

struct Failing {
    /// In a row.
    failures: u32,
    last: Instant,
}

impl Failing {
    fn fails(&self) -> bool {
        self.failures >= FAILURES && self.last.elapsed() < KNOWN_FOR
    }
}

impl CircuitBreaker {
    pub fn new(queue: Arc<dyn CallbackQueue>) -> Self {
        Self {
            queue,
            failing: Mutex::default(),
        }
    }

    pub fn queue(&self) -> &Arc<dyn CallbackQueue> {
        &self.queue
    }

    /// An access that calls `target` may go on. Looks at memory alone.
    pub fn admits(&self, target: &str) -> bool {
        self.queue.pending() <= self.queue.max_pending() / 2
            || !self
                .failing
                .lock()
                .get(receiver_host(target).as_str())
                .is_some_and(Failing::fails)
    }

    /// Receivers that fail.
    pub fn failing(&self) -> usize {
        self.failing
            .lock()
            .values()
            .filter(|one| one.fails())
            .count()
    }

    pub(super) fn delivered(&self, host: &str) {
        let before = self.failing.lock().remove(host);
        if before.is_some_and(|before| before.failures >= FAILURES) {
            tracing::info!(
                server.address = host,
                "a receiver of callbacks answers again"
            );
        }
    }

    /// The event will be tried again.
    pub(super) fn failed(&self, host: &Arc<str>) {
        let now = Instant::now();
        let mut failing = self.failing.lock();
        if failing.len() >= REMEMBERED && !failing.contains_key(host) {
            failing.retain(|_, one| one.last.elapsed() < KNOWN_FOR);
            if failing.len() >= REMEMBERED {
                return;
            }
        }
        let one = failing.entry(Arc::clone(host)).or_insert(Failing {
            failures: 0,
            last: now,
        });
        let failed_before = one.fails();
        one.failures = one.failures.saturating_add(1);
        one.last = now;
        if one.fails() && !failed_before {
            tracing::warn!(server.address = &**host, "a receiver of callbacks fails");
        }
    }
}

/// Host and port of a callback URL; empty where it has none.
pub fn receiver_host(url: &str) -> String {
    let parse = |url: Url| {
        let port = url.port_or_known_default()?;
        Some(format!("{}:{port}", url.host_str()?))
    };
    Url::parse(url).ok().and_then(parse).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use asset_gateway_backends::clock::SystemClock;
    use asset_gateway_backends::conformance::fixture;
    use asset_gateway_backends::open::open_stores;
    use asset_gateway_backends::settings::{QueueLimits, TokenStoreSettings};

    use super::*;

    /// More than half waits: one of one.
    async fn full() -> CircuitBreaker {
        let limits = QueueLimits {
            max_pending: 1,
            ..QueueLimits::default()
        };
        let stores = open_stores(&TokenStoreSettings::Memory, limits, Arc::new(SystemClock));
        let backlog = CircuitBreaker::new(stores.unwrap().callbacks);
        backlog
            .queue()
            .enqueue(fixture::event("k", 7))
            .await
            .unwrap();
        backlog
    }

    #[tokio::test(start_paused = true)]
    async fn a_receiver_fails_from_the_eighth_time_until_it_answers_or_is_not_tried() {
        let backlog = full().await;
        let host = Arc::from("a:80");
        let fails = || !backlog.admits("http://a/hook");
        let fail = |times: u32| (0..times).for_each(|_| backlog.failed(&host));
        fail(FAILURES - 1);
        assert!(!fails());
        fail(1);
        assert!(fails() && backlog.admits("http://b/hook"));
        assert_eq!(backlog.failing(), 1);
        tokio::time::advance(KNOWN_FOR).await;
        assert!(!fails());
        fail(1);
        assert!(fails());
        backlog.delivered(&host);
        assert!(!fails());
        fail(FAILURES - 1);
        assert!(!fails());
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_remembered_is_bounded_and_makes_room() {
        let backlog = full().await;
        let fail = |name: usize| {
            let host = Arc::from(format!("h{name}:80"));
            (0..FAILURES).for_each(|_| backlog.failed(&host));
        };
        (0..=REMEMBERED).for_each(fail);
        assert_eq!(backlog.failing(), REMEMBERED);
        tokio::time::advance(KNOWN_FOR).await;
        fail(REMEMBERED);
        assert!(!backlog.admits(&format!("http://h{REMEMBERED}/")));
        assert_eq!(backlog.failing.lock().len(), 1);
    }
}
