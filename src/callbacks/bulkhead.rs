//! Bulkhead of the tries that uploads wait for: one receiver that hangs leaves some to the others.

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
    /// By host, the one that waits longest first.
    waiting: HashMap<Arc<str>, VecDeque<oneshot::Sender<Permit>>>,
}

/// One try of one host may run. Where it is not told how the try went, there was none.
pub(super) struct Permit {
    bulkhead: Bulkhead,
    host: Arc<str>,
    class: HostClass,
    /// How long it took, and whether it delivered.
    outcome: Option<(Duration, bool)>,
    began: Instant,
}

impl Bulkhead {
    /// As many tries at the same time; `fast`: what answers within it may use three quarters of them.
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

    /// Waits until the host may be tried, behind those of the same host that wait already.
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
            // Senders go with their permit alone.
            Err(_) => std::future::pending().await,
        }
    }

    /// Gives bulkhead to those who wait, as many as may run.
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
        // Each hands out its permit again, which takes the lock.
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
    async fn one_that_hangs_leaves_turns_to_another_one() {
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
    async fn the_first_in_the_line_is_the_first_to_go() {
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
        // It has answered: more of the same host may run.
        third.finish(true);
        fourth.await.finish(true);
    }

    #[tokio::test]
    async fn who_has_left_gets_no_turn() {
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
    async fn all_together_are_no_more_than_there_are() {
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
