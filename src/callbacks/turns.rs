//! Turns of the tries that uploads wait for: no receiver that hangs may take them all.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::{Notify, Semaphore, SemaphorePermit};
use tokio::time::Instant;

use super::hosts::{Admission, Hosts, Pace, Waiting};

pub(super) struct Turns {
    hosts: Mutex<Hosts>,
    all: Semaphore,
    /// A turn has ended.
    ended: Notify,
}

/// One try of one host may run.
pub(super) struct Turn<'a> {
    turns: &'a Turns,
    host: Arc<str>,
    pace: Pace,
    /// And when it began.
    one_of_all: Option<(SemaphorePermit<'a>, Instant)>,
    delivered: bool,
}

impl Turns {
    /// As many tries at the same time as `hosts` shares out.
    pub(super) fn new(hosts: Hosts, concurrency: usize) -> Self {
        Self {
            hosts: Mutex::new(hosts),
            all: Semaphore::new(concurrency),
            ended: Notify::new(),
        }
    }

    /// Waits until the host may be tried.
    pub(super) async fn take(&self, host: &Arc<str>) -> Turn<'_> {
        let pace = loop {
            // Before the look: a turn that ends after it wakes us.
            let ended = self.ended.notified();
            let admission = self.hosts.lock().admit(host, Waiting::default());
            match admission {
                Admission::Go(pace) => break pace,
                Admission::Wait(_) | Admission::PutBack(_) => ended.await,
            }
        };
        let mut turn = Turn {
            turns: self,
            host: Arc::clone(host),
            pace,
            one_of_all: None,
            delivered: false,
        };
        // Never closed.
        let permit = self.all.acquire().await.ok();
        turn.one_of_all = permit.map(|permit| (permit, Instant::now()));
        turn
    }
}

impl Turn<'_> {
    pub(super) fn delivered(mut self) {
        self.delivered = true;
    }
}

/// A try that is not said to have delivered has failed.
impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut hosts = self.turns.hosts.lock();
        match self.one_of_all.take() {
            Some((_, began)) => {
                hosts.finished(&self.host, self.pace, began.elapsed(), self.delivered);
            }
            None => hosts.left(&self.host, self.pace),
        }
        drop(hosts);
        self.turns.ended.notify_waiters();
    }
}
