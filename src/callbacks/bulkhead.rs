//! Bulkhead: permits for the attempts that uploads wait for, so that one slow receiver cannot take them all.
//!
//! Attempts of queued events are limited by `host_limits`.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::host_limits::{Admission, HostClass, HostLimits, Waiting};

#[derive(Clone)]
pub(super) struct Bulkhead(Arc<Inner>);

struct Inner {
    concurrency: usize,
    state: Mutex<State>,
}

struct State {
    host_limits: HostLimits,
    running: usize,
    /// By host; the longest wait comes first.
    waiting: HashMap<Arc<str>, VecDeque<oneshot::Sender<Permit>>>,
}

/// Permission for one attempt to one host. A permit that is dropped without [`finish`](Self::finish) tells
/// nothing about the host.
pub(super) struct Permit {
    bulkhead: Bulkhead,
    host: Arc<str>,
    class: HostClass,
    /// Duration of the attempt, and whether it delivered.
    outcome: Option<(Duration, bool)>,
    began: Instant,
}

impl Bulkhead {
    /// `concurrency`: attempts that run at once. `fast`: hosts that answer within it may have three quarters of
    /// them running.
    pub(super) fn new(concurrency: usize, timeout: Duration, fast: Duration) -> Self {
        Self(Arc::new(Inner {
            concurrency,
            state: Mutex::new(State {
                host_limits: HostLimits::new(concurrency, timeout, fast),
                running: 0,
                waiting: HashMap::new(),
            }),
        }))
    }

    /// Waits for a permit, behind earlier callers for the same host.
    pub(super) async fn acquire(&self, host: &Arc<str>) -> Permit {
        let (sender, permit) = oneshot::channel();
        self.0
            .state
            .lock()
            .waiting
            .entry(Arc::clone(host))
            .or_default()
            .push_back(sender);
        self.grant_permits();
        match permit.await {
            Ok(permit) => permit,
            // A sender is only dropped after it has sent.
            Err(_) => std::future::pending().await,
        }
    }

    /// Hands permits to as many waiting callers as may run.
    fn grant_permits(&self) {
        let mut unwanted = Vec::new();
        let mut state = self.0.state.lock();
        let State {
            host_limits,
            running,
            waiting,
        } = &mut *state;
        waiting.retain(|host, queue| {
            while let Some(first) = queue.pop_front() {
                if first.is_closed() {
                    continue;
                }
                let admission = match *running < self.0.concurrency {
                    true => host_limits.admit(host, Waiting::default()),
                    false => Admission::Wait(HostClass::Unproven),
                };
                let Admission::Start(class) = admission else {
                    queue.push_front(first);
                    return true;
                };
                *running += 1;
                let permit = Permit {
                    bulkhead: self.clone(),
                    host: Arc::clone(host),
                    class,
                    outcome: None,
                    began: Instant::now(),
                };
                unwanted.extend(first.send(permit).err());
            }
            false
        });
        drop(state);
        // Dropping a permit takes the lock again.
        drop(unwanted);
    }
}

impl Permit {
    pub(super) fn finish(mut self, delivered: bool) {
        self.outcome = Some((self.began.elapsed(), delivered));
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        {
            let mut state = self.bulkhead.0.state.lock();
            state.running -= 1;
            match self.outcome {
                Some((took, delivered)) => {
                    state
                        .host_limits
                        .finished(&self.host, self.class, took, delivered);
                }
                None => state.host_limits.cancel(&self.host, self.class),
            }
        }
        self.bulkhead.grant_permits();
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(15);

    fn bulkhead() -> Bulkhead {
        Bulkhead::new(8, TIMEOUT, TIMEOUT / 3)
    }

    fn host(name: &str) -> Arc<str> {
        Arc::from(name)
    }

    #[tokio::test]
    async fn a_host_that_hangs_leaves_permits_to_another() {
        let bulkhead = bulkhead();
        let hanging = [
            bulkhead.acquire(&host("a")).await,
            bulkhead.acquire(&host("a")).await,
        ];
        assert!(bulkhead.acquire(&host("a")).now_or_never().is_none());
        let other = bulkhead.acquire(&host("b")).await;
        drop((hanging, other));
        assert_eq!(bulkhead.0.state.lock().running, 0);
    }

    #[tokio::test]
    async fn callers_for_one_host_get_permits_in_order() {
        let bulkhead = bulkhead();
        let first = bulkhead.acquire(&host("a")).await;
        let _second = bulkhead.acquire(&host("a")).await;
        let host = host("a");
        let (mut third, mut fourth) = (
            Box::pin(bulkhead.acquire(&host)),
            Box::pin(bulkhead.acquire(&host)),
        );
        assert!((&mut third).now_or_never().is_none());
        assert!((&mut fourth).now_or_never().is_none());
        drop(first);
        assert!((&mut fourth).now_or_never().is_none());
        let third = third.await;
        // The host has answered: it may have more attempts running.
        third.finish(true);
        fourth.await.finish(true);
    }

    #[tokio::test]
    async fn a_caller_that_has_left_gets_no_permit() {
        let bulkhead = bulkhead();
        let held = [
            bulkhead.acquire(&host("a")).await,
            bulkhead.acquire(&host("a")).await,
        ];
        assert!(bulkhead.acquire(&host("a")).now_or_never().is_none());
        drop(held);
        let state = bulkhead.0.state.lock();
        assert_eq!((state.running, state.waiting.len()), (0, 0));
    }

    #[tokio::test]
    async fn permits_of_all_hosts_are_at_most_the_concurrency() {
        let bulkhead = bulkhead();
        for name in ["a", "b"] {
            bulkhead.acquire(&host(name)).await.finish(true);
        }
        let mut held = Vec::new();
        for name in ["a", "a", "a", "a", "a", "a", "b", "b"] {
            held.push(bulkhead.acquire(&host(name)).await);
        }
        assert!(bulkhead.acquire(&host("b")).now_or_never().is_none());
        held.pop();
        assert!(bulkhead.acquire(&host("b")).now_or_never().is_some());
    }
}
