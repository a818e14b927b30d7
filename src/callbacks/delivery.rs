//! One delivery attempt of an event, and its outcome in the queue: delivered, due again, or a dead letter.
//!
//! Delivery is at least once: where an outcome cannot be recorded, the claim lapses and the event is sent
//! again.

use std::sync::Arc;
use std::time::Duration;

use asset_gateway_backends::BackendError;
use asset_gateway_backends::clock::Clock;
use asset_gateway_backends::event::{Attempt, ClaimedEvent, Event, EventId};
use bytes::Bytes;
use reqwest::Url;
use tokio::time::{Instant, timeout_at};

use super::bulkhead::Bulkhead;
use super::circuit_breaker::{CircuitBreaker, receiver_host};
use super::host_limits::HostClass;
use super::message::Message;
use super::retry;
use super::sender::{Answer, Failure, Sender};
use super::signature::Signer;
use super::target_policy::TargetPolicy;
use crate::config::WebhookSecret;
use crate::telemetry::metrics::CALLBACKS;

/// A claimed event whose attempt has not begun.
pub(super) struct PendingAttempt {
    pub(super) claimed: ClaimedEvent,
    /// Host and port, the only parts of the URL that are logged; empty where it has none.
    pub(super) host: Arc<str>,
    pub(super) since: Instant,
}

impl PendingAttempt {
    pub(super) fn new(claimed: ClaimedEvent) -> Self {
        let host = receiver_host(&claimed.event.target);
        Self {
            claimed,
            host: Arc::from(host),
            since: Instant::now(),
        }
    }

    pub(super) fn id(&self) -> &EventId {
        &self.claimed.event.id
    }
}

/// The outcome of an attempt, for the host's limits.
pub(super) struct AttemptResult {
    pub(super) host: Arc<str>,
    pub(super) class: HostClass,
    pub(super) took: Duration,
    pub(super) delivered: bool,
}

/// How events are delivered.
#[derive(Debug, Clone)]
pub struct CallbackSettings {
    /// Limit of a whole attempt: name, connection, TLS, request, answer.
    pub timeout: Duration,
    /// Pauses after the first, second, … failed attempt. The failure after the last makes a dead letter.
    pub retry: Vec<Duration>,
    /// Each signs every message; without any, messages are not signed.
    pub secrets: Vec<WebhookSecret>,
    pub target_policy: Arc<TargetPolicy>,
    /// Attempts at once, and as many more that uploads wait for.
    pub concurrency: usize,
}

impl Default for CallbackSettings {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(15),
            retry: [5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400]
                .map(Duration::from_secs)
                .to_vec(),
            secrets: Vec::new(),
            target_policy: Arc::default(),
            concurrency: 32,
        }
    }
}

/// The HTTP client cannot be built.
#[derive(Debug, thiserror::Error)]
#[error("cannot build the HTTP client for callbacks: {0}")]
pub struct SetupError(#[from] reqwest::Error);

/// Makes attempts and records their outcomes.
pub struct Deliverer {
    pub(super) sender: Sender,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) circuit_breaker: Arc<CircuitBreaker>,
    schedule: Vec<Duration>,
    signer: Signer,
    target_policy: Arc<TargetPolicy>,
    /// For attempts that uploads wait for.
    bulkhead: Bulkhead,
}

/// Why an uploader has no answer of its callback's receiver.
#[derive(Debug)]
pub struct NotAnswered {
    pub failure: Failure,
    /// Whether the event stays in the queue.
    pub will_retry: bool,
}

/// Part of a claim that is left after the longest attempt, to record its outcome.
pub(super) const RECORD_MARGIN: Duration = Duration::from_secs(20);

/// A failed attempt.
struct Failed {
    failure: Failure,
    /// Pause that the receiver asks for.
    retry_after: Option<Duration>,
    /// Beginning of its answer.
    answer: String,
}

impl From<Failure> for Failed {
    fn from(failure: Failure) -> Self {
        Self {
            failure,
            retry_after: None,
            answer: String::new(),
        }
    }
}

enum Verdict {
    Delivered,
    RetryAt { at_ms: u64, attempt: Attempt },
    GiveUp { attempt: Attempt },
}

impl Deliverer {
    /// Builds the HTTP client, for which a rustls provider must be installed.
    ///
    /// # Errors
    /// The machine's certificates cannot be read.
    pub fn new(
        circuit_breaker: Arc<CircuitBreaker>,
        clock: Arc<dyn Clock>,
        settings: CallbackSettings,
    ) -> Result<Self, SetupError> {
        let concurrency = settings.concurrency.max(1);
        let timeout = settings.timeout;
        Ok(Self {
            sender: Sender::new(settings.timeout, Arc::clone(&settings.target_policy))?,
            clock,
            circuit_breaker,
            schedule: settings.retry,
            signer: Signer::new(&settings.secrets),
            target_policy: settings.target_policy,
            bulkhead: Bulkhead::new(concurrency, timeout, timeout / 3),
        })
    }

    /// Makes one attempt and records its outcome.
    pub(super) async fn deliver(&self, pending: PendingAttempt, class: HostClass) -> AttemptResult {
        let began = Instant::now();
        let at_ms = self.clock.now_ms();
        let deadline = began + self.sender.timeout;
        let outcome = match self.attempt(&pending.claimed.event, deadline).await {
            Ok(answer) => {
                answer.discard().await;
                Ok(())
            }
            Err(failed) => Err(failed),
        };
        let took = began.elapsed();
        let delivered = outcome.is_ok();
        let verdict = self.decide(&pending, at_ms, took, outcome.err());
        self.record(&pending, verdict).await;
        AttemptResult {
            host: pending.host,
            class,
            took,
            delivered,
        }
    }

    /// The claim that [`deliver_and_wait`](Self::deliver_and_wait) needs.
    pub fn claim_duration(&self) -> Duration {
        self.sender.timeout + RECORD_MARGIN
    }

    /// Makes one attempt, for an answer in JSON, and records its outcome. Without such an answer the event is
    /// retried like any other.
    pub async fn deliver_and_wait(&self, claimed: ClaimedEvent) -> Result<Bytes, NotAnswered> {
        let began = Instant::now();
        let at_ms = self.clock.now_ms();
        let pending = PendingAttempt::new(claimed);
        // The other half of the time is enough for an attempt.
        let permit_by = began + self.sender.timeout / 2;
        let Ok(permit) = timeout_at(permit_by, self.bulkhead.acquire(&pending.host)).await else {
            // The worker takes the event over.
            self.release_claim(&pending, self.clock.now_ms()).await;
            return Err(NotAnswered {
                failure: Failure::Timeout,
                will_retry: true,
            });
        };
        let deadline = began + self.sender.timeout;
        let answer = match self.attempt(&pending.claimed.event, deadline).await {
            Ok(answer) => answer.json().await.map_err(Failed::from),
            Err(failed) => Err(failed),
        };
        let (answered, failed) = match answer {
            Ok(answer) => (Ok(answer), None),
            Err(failed) => (Err(failed.failure), Some(failed)),
        };
        permit.finish(answered.is_ok());
        let verdict = self.decide(&pending, at_ms, began.elapsed(), failed);
        let will_retry = matches!(verdict, Verdict::RetryAt { .. });
        self.record(&pending, verdict).await;
        answered.map_err(|failure| NotAnswered {
            failure,
            will_retry,
        })
    }

    /// Returns an event without an attempt to the queue, due at `at_ms`.
    pub(super) async fn release_claim(&self, pending: &PendingAttempt, at_ms: u64) {
        let queue = self.circuit_breaker.queue();
        if let Err(error) = queue.release_claim(pending.id(), at_ms).await {
            tracing::error!(
                event_id = pending.id().as_str(), exception.message = %error,
                "claim of a callback not released; the event is due again when the claim lapses"
            );
        }
    }

    /// Sends the event's message; anything but a 2xx is a failure.
    async fn attempt(&self, event: &Event, deadline: Instant) -> Result<Answer, Failed> {
        let target = Url::parse(&event.target).map_err(|_| Failure::Invalid)?;
        self.target_policy
            .check(&target)
            .map_err(|_| Failure::Denied)?;
        let message = Message::new(event, self.clock.now_seconds(), &self.signer)
            .map_err(|_| Failure::Invalid)?;
        let answer = self.sender.send(target, message, deadline).await?;
        if (200..=299).contains(&answer.status) {
            return Ok(answer);
        }
        Err(Failed {
            failure: Failure::Status(answer.status),
            retry_after: answer
                .retry_after
                .as_deref()
                .and_then(|value| retry::parse_retry_after(value, self.clock.now_ms())),
            answer: answer.excerpt().await,
        })
    }

    /// Decides what becomes of the event.
    fn decide(
        &self,
        pending: &PendingAttempt,
        at_ms: u64,
        took: Duration,
        failed: Option<Failed>,
    ) -> Verdict {
        let Some(Failed {
            failure,
            retry_after,
            answer,
        }) = failed
        else {
            return Verdict::Delivered;
        };
        let status = if let Failure::Status(status) = failure {
            Some(status)
        } else {
            None
        };
        let attempt = Attempt {
            at_ms,
            duration_ms: millis(took),
            status,
            error: failure.to_string(),
            answer,
        };
        // 410: the receiver refuses the event for good. An invalid request stays invalid.
        let is_final = matches!(failure, Failure::Status(410) | Failure::Invalid);
        let attempts_before = pending.claimed.attempts_since_replay();
        let random = getrandom::u32().unwrap_or(u32::MAX / 2);
        match retry::pause(&self.schedule, attempts_before, retry_after, random) {
            Some(pause) if !is_final => Verdict::RetryAt {
                at_ms: self.clock.now_ms().saturating_add(millis(pause)),
                attempt,
            },
            Some(_) | None => Verdict::GiveUp { attempt },
        }
    }

    async fn record(&self, pending: &PendingAttempt, verdict: Verdict) {
        match verdict {
            Verdict::Delivered => self.circuit_breaker.record_success(&pending.host),
            Verdict::RetryAt { .. } => self.circuit_breaker.record_failure(&pending.host),
            // A dead letter takes no room in the queue.
            Verdict::GiveUp { .. } => {}
        }
        if let Err(error) = self.write(pending, verdict).await {
            tracing::error!(
                event_id = pending.id().as_str(), server.address = &*pending.host, exception.message = %error,
                "outcome of a callback not recorded; the event will be sent again"
            );
        }
    }

    async fn write(&self, pending: &PendingAttempt, verdict: Verdict) -> Result<(), BackendError> {
        let (id, host) = (pending.id(), &*pending.host);
        let event_id = id.as_str();
        let queue = self.circuit_breaker.queue();
        let outcome = match verdict {
            Verdict::Delivered => {
                queue.ack(id).await?;
                tracing::debug!(event_id, server.address = host, "callback delivered");
                "delivered"
            }
            Verdict::RetryAt { at_ms, attempt } => {
                tracing::info!(
                    event_id, server.address = host, error.type = attempt.error, "callback failed"
                );
                queue.retry(id, attempt, at_ms).await?;
                "retried"
            }
            Verdict::GiveUp { attempt } => {
                tracing::warn!(
                    event_id, server.address = host, error.type = attempt.error, "callback given up"
                );
                queue.dead_letter(id, attempt).await?;
                "dead"
            }
        };
        metrics::counter!(CALLBACKS.name, "outcome" => outcome).increment(1);
        Ok(())
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
