//! Turns of the tries that uploads wait for: one receiver that hangs leaves some to the others.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::hosts::{Admission, Hosts, Pace, Waiting};

#[derive(Clone)]
pub(super) struct Turns(Arc<Inner>);

struct Inner {
    concurrency: usize,
    state: Mutex<State>,
}

struct State {
    hosts: Hosts,
    running: usize,
    /// By host, the one that waits longest first.
    waiting: HashMap<Arc<str>, VecDeque<oneshot::Sender<Turn>>>,
}

/// One try of one host may run. Where it is not told how the try went, there was none.
pub(super) struct Turn {
    turns: Turns,
    host: Arc<str>,
    pace: Pace,
    /// How long it took, and whether it delivered.
    tried: Option<(Duration, bool)>,
    began: Instant,
}

impl Turns {
    /// As many tries at the same time; `fast`: what answers within it may use three quarters of them.
    pub(super) fn new(concurrency: usize, timeout: Duration, fast: Duration) -> Self {
        Self(Arc::new(Inner {
            concurrency,
            state: Mutex::new(State {
                hosts: Hosts::new(concurrency, timeout, fast),
                running: 0,
                waiting: HashMap::new(),
            }),
        }))
    }

    /// Waits until the host may be tried, behind those of the same host that wait already.
    pub(super) async fn take(&self, host: &Arc<str>) -> Turn {
        let (sender, turn) = oneshot::channel();
        self.0
            .state
            .lock()
            .waiting
            .entry(Arc::clone(host))
            .or_default()
            .push_back(sender);
        self.hand_out();
        match turn.await {
            Ok(turn) => turn,
            // Senders go with their turn alone.
            Err(_) => std::future::pending().await,
        }
    }

    /// Gives turns to those who wait, as many as may run.
    fn hand_out(&self) {
        let mut unwanted = Vec::new();
        let mut state = self.0.state.lock();
        let State {
            hosts,
            running,
            waiting,
        } = &mut *state;
        waiting.retain(|host, line| {
            while let Some(first) = line.pop_front() {
                if first.is_closed() {
                    continue;
                }
                let admission = match *running < self.0.concurrency {
                    true => hosts.admit(host, Waiting::default()),
                    false => Admission::Wait(Pace::Doubtful),
                };
                let Admission::Go(pace) = admission else {
                    line.push_front(first);
                    return true;
                };
                *running += 1;
                let turn = Turn {
                    turns: self.clone(),
                    host: Arc::clone(host),
                    pace,
                    tried: None,
                    began: Instant::now(),
                };
                unwanted.extend(first.send(turn).err());
            }
            false
        });
        drop(state);
        // Each hands out its turn again, which takes the lock.
        drop(unwanted);
    }
}

impl Turn {
    pub(super) fn ended(mut self, delivered: bool) {
        self.tried = Some((self.began.elapsed(), delivered));
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        {
            let mut state = self.turns.0.state.lock();
            state.running -= 1;
            match self.tried {
                Some((took, delivered)) => {
                    state.hosts.finished(&self.host, self.pace, took, delivered);
                }
                None => state.hosts.left(&self.host, self.pace),
            }
        }
        self.turns.hand_out();
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(15);

    fn turns() -> Turns {
        Turns::new(8, TIMEOUT, TIMEOUT / 3)
    }

    fn host(name: &str) -> Arc<str> {
        Arc::from(name)
    }

    #[tokio::test]
    async fn one_that_hangs_leaves_turns_to_another_one() {
        let turns = turns();
        let hanging = [turns.take(&host("a")).await, turns.take(&host("a")).await];
        assert!(turns.take(&host("a")).now_or_never().is_none());
        let other = turns.take(&host("b")).await;
        drop((hanging, other));
        assert_eq!(turns.0.state.lock().running, 0);
    }

    #[tokio::test]
    async fn the_first_in_the_line_is_the_first_to_go() {
        let turns = turns();
        let first = turns.take(&host("a")).await;
        let _second = turns.take(&host("a")).await;
        let host = host("a");
        let (mut third, mut fourth) = (Box::pin(turns.take(&host)), Box::pin(turns.take(&host)));
        assert!((&mut third).now_or_never().is_none());
        assert!((&mut fourth).now_or_never().is_none());
        drop(first);
        assert!((&mut fourth).now_or_never().is_none());
        let third = third.await;
        // It has answered: more of the same host may run.
        third.ended(true);
        fourth.await.ended(true);
    }

    #[tokio::test]
    async fn who_has_left_gets_no_turn() {
        let turns = turns();
        let held = [turns.take(&host("a")).await, turns.take(&host("a")).await];
        assert!(turns.take(&host("a")).now_or_never().is_none());
        drop(held);
        let state = turns.0.state.lock();
        assert_eq!((state.running, state.waiting.len()), (0, 0));
    }

    #[tokio::test]
    async fn all_together_are_no_more_than_there_are() {
        let turns = turns();
        for name in ["a", "b"] {
            turns.take(&host(name)).await.ended(true);
        }
        let mut held = Vec::new();
        for name in ["a", "a", "a", "a", "a", "a", "b", "b"] {
            held.push(turns.take(&host(name)).await);
        }
        assert!(turns.take(&host("b")).now_or_never().is_none());
        held.pop();
        assert!(turns.take(&host("b")).now_or_never().is_some());
    }
}
