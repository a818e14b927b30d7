//! Circuit breaker: refuses new accesses for receivers that keep failing, once the queue is half full.
//!
//! The other half of `max_pending` is for receivers that answer. Reads memory only.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use asset_gateway_backends::callback_queue::CallbackQueue;
use parking_lot::Mutex;
use tokio::time::Instant;
use url::Url;

/// Failures in a row that make a receiver a failing one.
const FAILURE_THRESHOLD: u32 = 8;
/// Time after a receiver's last attempt in which it counts as failing; then its next events are let through.
const FAILING_FOR: Duration = Duration::from_secs(60);
const MAX_REMEMBERED_RECEIVERS: usize = 4096;

/// The queue, and the receivers that fail.
pub struct CircuitBreaker {
    queue: Arc<dyn CallbackQueue>,
    /// By host and port: receivers that have failed since they last answered.
    failures: Mutex<HashMap<Arc<str>, Failures>>,
}

struct Failures {
    in_a_row: u32,
    last: Instant,
}

impl Failures {
    fn is_failing(&self) -> bool {
        self.in_a_row >= FAILURE_THRESHOLD && self.last.elapsed() < FAILING_FOR
    }
}

impl CircuitBreaker {
    pub fn new(queue: Arc<dyn CallbackQueue>) -> Self {
        Self {
            queue,
            failures: Mutex::default(),
        }
    }

    pub fn queue(&self) -> &Arc<dyn CallbackQueue> {
        &self.queue
    }

    /// Whether an access that calls `target` may go on.
    pub fn admits(&self, target: &str) -> bool {
        self.queue.pending() <= self.queue.max_pending() / 2
            || !self
                .failures
                .lock()
                .get(receiver_host(target).as_str())
                .is_some_and(Failures::is_failing)
    }

    /// Number of receivers that keep failing.
    pub fn failing_receivers(&self) -> usize {
        self.failures
            .lock()
            .values()
            .filter(|failures| failures.is_failing())
            .count()
    }

    pub(super) fn record_success(&self, host: &str) {
        let before = self.failures.lock().remove(host);
        if before.is_some_and(|before| before.in_a_row >= FAILURE_THRESHOLD) {
            tracing::info!(server.address = host, "callback receiver answers again");
        }
    }

    /// Counts a failed attempt whose event stays in the queue.
    pub(super) fn record_failure(&self, host: &Arc<str>) {
        let now = Instant::now();
        let mut failures = self.failures.lock();
        if failures.len() >= MAX_REMEMBERED_RECEIVERS && !failures.contains_key(host) {
            failures.retain(|_, one| one.last.elapsed() < FAILING_FOR);
            if failures.len() >= MAX_REMEMBERED_RECEIVERS {
                return;
            }
        }
        let one = failures.entry(Arc::clone(host)).or_insert(Failures {
            in_a_row: 0,
            last: now,
        });
        let was_failing = one.is_failing();
        one.in_a_row = one.in_a_row.saturating_add(1);
        one.last = now;
        if one.is_failing() && !was_failing {
            tracing::warn!(server.address = &**host, "callback receiver keeps failing");
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

    /// A breaker whose queue is more than half full: one event of one.
    async fn with_full_queue() -> CircuitBreaker {
        let limits = QueueLimits {
            max_pending: 1,
            ..QueueLimits::default()
        };
        let stores = open_stores(&TokenStoreSettings::Memory, limits, Arc::new(SystemClock));
        let breaker = CircuitBreaker::new(stores.unwrap().callbacks);
        breaker
            .queue()
            .enqueue(fixture::event("k", 7))
            .await
            .unwrap();
        breaker
    }

    #[tokio::test(start_paused = true)]
    async fn a_receiver_is_refused_from_its_eighth_failure_until_it_answers_or_a_minute_passes() {
        let breaker = with_full_queue().await;
        let host = Arc::from("a:80");
        let fails = || !breaker.admits("http://a/hook");
        let fail = |times: u32| (0..times).for_each(|_| breaker.record_failure(&host));
        fail(FAILURE_THRESHOLD - 1);
        assert!(!fails());
        fail(1);
        assert!(fails() && breaker.admits("http://b/hook"));
        assert_eq!(breaker.failing_receivers(), 1);
        tokio::time::advance(FAILING_FOR).await;
        assert!(!fails());
        fail(1);
        assert!(fails());
        breaker.record_success(&host);
        assert!(!fails());
        fail(FAILURE_THRESHOLD - 1);
        assert!(!fails());
    }

    #[tokio::test(start_paused = true)]
    async fn remembered_receivers_are_bounded_and_expire() {
        let breaker = with_full_queue().await;
        let fail = |name: usize| {
            let host = Arc::from(format!("h{name}:80"));
            (0..FAILURE_THRESHOLD).for_each(|_| breaker.record_failure(&host));
        };
        (0..=MAX_REMEMBERED_RECEIVERS).for_each(fail);
        assert_eq!(breaker.failing_receivers(), MAX_REMEMBERED_RECEIVERS);
        tokio::time::advance(FAILING_FOR).await;
        fail(MAX_REMEMBERED_RECEIVERS);
        assert!(!breaker.admits(&format!("http://h{MAX_REMEMBERED_RECEIVERS}/")));
        assert_eq!(breaker.failures.lock().len(), 1);
    }
}
