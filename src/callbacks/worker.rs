//! Claims events that are due and has them delivered.

use std::collections::{HashMap, VecDeque};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use asset_gateway_backends::callback_queue::CallbackQueue;
use futures_util::future::{FutureExt, join_all};
use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;

use super::delivery::{AttemptResult, Deliverer, PendingAttempt, RECORD_MARGIN};
use super::host_limits::{Admission, FAST, HostClass, HostLimits, Waiting};
use crate::shutdown::Shutdown;

/// How long a claimed event may wait here for its try; longer than a fast host needs.
const MAX_HOLD: Duration = Duration::from_secs(20);
/// The queue is looked at at least so often, and after it failed.
const LOOK: Duration = Duration::from_secs(1);

/// Delivers events until the shutdown. In memory are at most twice `concurrency` of them.
pub struct Worker {
    deliverer: Arc<Deliverer>,
    concurrency: usize,
    lease: Duration,
    host_limits: HostLimits,
    /// Claimed, waiting for their host; oldest first.
    pending: VecDeque<PendingAttempt>,
    running: JoinSet<AttemptResult>,
}

impl Worker {
    /// `concurrency`: tries at the same time.
    pub fn new(deliverer: Arc<Deliverer>, concurrency: usize) -> Self {
        let concurrency = concurrency.max(1);
        let timeout = deliverer.sender.timeout;
        Self {
            deliverer,
            concurrency,
            lease: MAX_HOLD + timeout + RECORD_MARGIN,
            host_limits: HostLimits::new(concurrency, timeout, FAST),
            pending: VecDeque::new(),
            running: JoinSet::new(),
        }
    }

    /// Delivers until the shutdown begins; then lets the tries that run end, gives back what is not
    /// tried yet, and returns. A forced shutdown ends it at once; what was claimed is handed out
    /// again when its lease ends, as it is where the future is dropped.
    pub async fn run(mut self, shutdown: Shutdown) {
        tokio::select! {
            () = shutdown.forced() => {}
            () = self.work(&shutdown) => {}
        }
    }

    async fn work(&mut self, shutdown: &Shutdown) {
        let mut more = true;
        let mut failed = false;
        while !shutdown.has_begun() {
            // A circuit_breaker that is claimed and put back all the time must not hide that tries have ended.
            while let Some(done) = self.running.try_join_next() {
                self.settle(done);
            }
            let room = 2 * self.concurrency - self.pending.len() - self.running.len();
            if more && room > 0 {
                let claimed = self
                    .deliverer
                    .circuit_breaker
                    .queue()
                    .claim(room, self.lease)
                    .await;
                failed = claimed.is_err();
                match claimed {
                    Ok(claimed) => {
                        more = claimed.len() == room;
                        self.pending
                            .extend(claimed.into_iter().map(PendingAttempt::new));
                        self.start_held().await;
                    }
                    Err(error) => {
                        more = false;
                        tracing::error!(exception.message = %error, "cannot claim callbacks");
                    }
                }
                continue;
            }
            let queue = Arc::clone(self.deliverer.circuit_breaker.queue());
            tokio::select! {
                biased;
                () = shutdown.begun() => {}
                Some(done) = self.running.join_next(), if !self.running.is_empty() => {
                    self.settle(done);
                    self.start_held().await;
                }
                () = look(&*queue, failed), if room > 0 => more = true,
                // Its host may have begun to hang.
                () = tokio::time::sleep(FAST), if !self.pending.is_empty() => self.start_held().await,
            }
        }
        let now_ms = self.deliverer.clock.now_ms();
        let untried = std::mem::take(&mut self.pending);
        self.put_back(
            untried
                .into_iter()
                .map(|pending| (pending, now_ms))
                .collect(),
        )
        .await;
        while let Some(done) = self.running.join_next().await {
            self.settle(done);
        }
    }

    /// Starts what may run now, and puts back what its host will not get to soon.
    async fn start_held(&mut self) {
        let mut back = Vec::new();
        let mut waiting = VecDeque::new();
        let mut of_unproven = 0;
        let mut of_hosts = HashMap::<Arc<str>, usize>::new();
        while let Some(pending) = self.pending.pop_front() {
            if pending.since.elapsed() > MAX_HOLD {
                // A try might outlive the lease: somebody else's permit.
                back.push((pending, self.deliverer.clock.now_ms()));
            } else if self.running.len() >= self.concurrency {
                waiting.push_back(pending);
            } else {
                let of_host = of_hosts.entry(Arc::clone(&pending.host)).or_default();
                let counts = Waiting {
                    of_host: *of_host,
                    of_unproven,
                };
                match self.host_limits.admit(&pending.host, counts) {
                    Admission::Start(class) => {
                        let deliverer = Arc::clone(&self.deliverer);
                        self.running.spawn(try_one(deliverer, pending, class));
                    }
                    Admission::Wait(class) => {
                        *of_host += 1;
                        of_unproven += usize::from(class == HostClass::Unproven);
                        waiting.push_back(pending);
                    }
                    Admission::PutBack(pause) => {
                        let pause = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX);
                        let at_ms = self.deliverer.clock.now_ms().saturating_add(pause);
                        back.push((pending, at_ms));
                    }
                }
            }
        }
        self.pending = waiting;
        self.put_back(back).await;
    }

    async fn put_back(&self, events: Vec<(PendingAttempt, u64)>) {
        let all = events.iter();
        join_all(all.map(|(pending, at_ms)| self.deliverer.put_back(pending, *at_ms))).await;
    }

    fn settle(&mut self, done: Result<AttemptResult, JoinError>) {
        match done {
            Ok(done) => {
                let host_limits = &mut self.host_limits;
                host_limits.finished(&done.host, done.class, done.took, done.delivered);
            }
            Err(error) => tracing::error!(exception.message = %error, "a callback's task failed"),
        }
    }
}

/// A try that panics has failed, for its host's account too; its event is handed out again when its
/// lease ends.
async fn try_one(
    deliverer: Arc<Deliverer>,
    pending: PendingAttempt,
    class: HostClass,
) -> AttemptResult {
    let host = Arc::clone(&pending.host);
    let began = Instant::now();
    let tried = AssertUnwindSafe(deliverer.deliver(pending, class)).catch_unwind();
    tried.await.unwrap_or_else(|_| {
        tracing::error!(server.address = &*host, "delivering a callback panicked");
        AttemptResult {
            host,
            class,
            took: began.elapsed(),
            delivered: false,
        }
    })
}

/// Returns when it is worth to claim again.
async fn look(queue: &dyn CallbackQueue, failed: bool) {
    if failed {
        tokio::time::sleep(LOOK).await;
    } else {
        queue.wait_until_due(LOOK).await;
    }
}
