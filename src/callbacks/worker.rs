//! The worker: claims due events and starts their attempts, within the limits of their hosts.

use std::collections::{HashMap, VecDeque};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use asset_gateway_backends::callback_queue::CallbackQueue;
use futures_util::future::{FutureExt, join_all};
use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;

use super::delivery::{AttemptResult, Deliverer, PendingAttempt, RECORD_MARGIN};
use super::host_limits::{Admission, FAST_ATTEMPT, HostClass, HostLimits, Waiting};
use crate::shutdown::Shutdown;

/// How long a claimed event may wait in memory for its host: longer than a fast host needs.
const MAX_WAIT: Duration = Duration::from_secs(20);
/// Longest pause between two claims, and the pause after a claim that failed.
const CLAIM_INTERVAL: Duration = Duration::from_secs(1);

/// Delivers events until the shutdown; holds at most twice `concurrency` of them in memory.
pub struct Worker {
    deliverer: Arc<Deliverer>,
    concurrency: usize,
    claim_duration: Duration,
    host_limits: HostLimits,
    /// Claimed events that wait for their host, oldest first.
    pending: VecDeque<PendingAttempt>,
    running: JoinSet<AttemptResult>,
}

impl Worker {
    /// `concurrency`: attempts at once.
    pub fn new(deliverer: Arc<Deliverer>, concurrency: usize) -> Self {
        let concurrency = concurrency.max(1);
        let timeout = deliverer.sender.timeout;
        Self {
            deliverer,
            concurrency,
            claim_duration: MAX_WAIT + timeout + RECORD_MARGIN,
            host_limits: HostLimits::new(concurrency, timeout, FAST_ATTEMPT),
            pending: VecDeque::new(),
            running: JoinSet::new(),
        }
    }

    /// Delivers until the shutdown begins; then lets running attempts end and releases the other claims.
    ///
    /// A forced shutdown, or dropping the future, ends all attempts at once; their claims lapse.
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
            // Attempts end also while events are claimed and deferred without a pause.
            while let Some(done) = self.running.try_join_next() {
                self.end_attempt(done);
            }
            let room = 2 * self.concurrency - self.pending.len() - self.running.len();
            if more && room > 0 {
                let queue = self.deliverer.circuit_breaker.queue();
                let claimed = queue.claim(room, self.claim_duration).await;
                failed = claimed.is_err();
                match claimed {
                    Ok(claimed) => {
                        more = claimed.len() == room;
                        self.pending
                            .extend(claimed.into_iter().map(PendingAttempt::new));
                        self.start_pending().await;
                    }
                    Err(error) => {
                        more = false;
                        tracing::error!(exception.message = %error, "callbacks not claimed");
                    }
                }
                continue;
            }
            let queue = Arc::clone(self.deliverer.circuit_breaker.queue());
            tokio::select! {
                biased;
                () = shutdown.begun() => {}
                Some(done) = self.running.join_next(), if !self.running.is_empty() => {
                    self.end_attempt(done);
                    self.start_pending().await;
                }
                () = wait_until_due(&*queue, failed), if room > 0 => more = true,
                // A fast host may have begun to hang.
                () = tokio::time::sleep(FAST_ATTEMPT), if !self.pending.is_empty() => self.start_pending().await,
            }
        }
        let now_ms = self.deliverer.clock.now_ms();
        let unstarted = std::mem::take(&mut self.pending);
        let unstarted = unstarted.into_iter().map(|pending| (pending, now_ms));
        self.release_claims(unstarted.collect()).await;
        while let Some(done) = self.running.join_next().await {
            self.end_attempt(done);
        }
    }

    /// Starts the attempts that may run now, and releases the claims on events of busy hosts.
    async fn start_pending(&mut self) {
        let mut released = Vec::new();
        let mut still_pending = VecDeque::new();
        let mut of_unproven = 0;
        let mut of_hosts = HashMap::<Arc<str>, usize>::new();
        while let Some(pending) = self.pending.pop_front() {
            if pending.since.elapsed() > MAX_WAIT {
                // An attempt might outlive the claim: another node may take the event.
                released.push((pending, self.deliverer.clock.now_ms()));
            } else if self.running.len() >= self.concurrency {
                still_pending.push_back(pending);
            } else {
                let of_host = of_hosts.entry(Arc::clone(&pending.host)).or_default();
                let counts = Waiting {
                    of_host: *of_host,
                    of_unproven,
                };
                match self.host_limits.admit(&pending.host, counts) {
                    Admission::Start(class) => {
                        let deliverer = Arc::clone(&self.deliverer);
                        self.running.spawn(run_attempt(deliverer, pending, class));
                    }
                    Admission::Wait(class) => {
                        *of_host += 1;
                        of_unproven += usize::from(class == HostClass::Unproven);
                        still_pending.push_back(pending);
                    }
                    Admission::Defer(pause) => {
                        let pause = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX);
                        let at_ms = self.deliverer.clock.now_ms().saturating_add(pause);
                        released.push((pending, at_ms));
                    }
                }
            }
        }
        self.pending = still_pending;
        self.release_claims(released).await;
    }

    async fn release_claims(&self, events: Vec<(PendingAttempt, u64)>) {
        let all = events.iter();
        join_all(all.map(|(pending, at_ms)| self.deliverer.release_claim(pending, *at_ms))).await;
    }

    fn end_attempt(&mut self, done: Result<AttemptResult, JoinError>) {
        match done {
            Ok(done) => {
                let host_limits = &mut self.host_limits;
                host_limits.finished(&done.host, done.class, done.took, done.delivered);
            }
            Err(error) => {
                tracing::error!(exception.message = %error, "task of a callback attempt failed")
            }
        }
    }
}

/// Makes an attempt. A panic counts as a failure of the host, and the event's claim lapses.
async fn run_attempt(
    deliverer: Arc<Deliverer>,
    pending: PendingAttempt,
    class: HostClass,
) -> AttemptResult {
    let host = Arc::clone(&pending.host);
    let began = Instant::now();
    let attempt = AssertUnwindSafe(deliverer.deliver(pending, class)).catch_unwind();
    attempt.await.unwrap_or_else(|_| {
        tracing::error!(server.address = &*host, "callback attempt panicked");
        AttemptResult {
            host,
            class,
            took: began.elapsed(),
            delivered: false,
        }
    })
}

/// Returns when another claim may find events.
async fn wait_until_due(queue: &dyn CallbackQueue, failed: bool) {
    if failed {
        tokio::time::sleep(CLAIM_INTERVAL).await;
    } else {
        queue.wait_until_due(CLAIM_INTERVAL).await;
    }
}
