//! One event's try and what the queue is told about it.

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

/// An event that this node has claimed and not tried yet.
pub(super) struct PendingAttempt {
    pub(super) claimed: ClaimedEvent,
    /// Host and port; all of the URL that is ever logged. Empty where there is none.
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

/// How a try went, for the host's account.
pub(super) struct AttemptResult {
    pub(super) host: Arc<str>,
    pub(super) class: HostClass,
    pub(super) took: Duration,
    pub(super) delivered: bool,
}

/// How events are delivered.
#[derive(Debug, Clone)]
pub struct CallbackSettings {
    /// One limit for a whole try: name, connection, TLS, request, answer.
    pub timeout: Duration,
    /// The pauses after the first, second, … try that failed. After the last, the event is dead.
    pub retry: Vec<Duration>,
    /// All sign. Empty: nothing is signed.
    pub secrets: Vec<WebhookSecret>,
    pub target_policy: Arc<TargetPolicy>,
    /// Tries at the same time, and as many more that uploads wait for.
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

/// There is no HTTP client.
#[derive(Debug, thiserror::Error)]
#[error("cannot make the HTTP client of the callbacks: {0}")]
pub struct SetupError(#[from] reqwest::Error);

/// What every try needs.
pub struct Deliverer {
    pub(super) sender: Sender,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) circuit_breaker: Arc<CircuitBreaker>,
    schedule: Vec<Duration>,
    signer: Signer,
    target_policy: Arc<TargetPolicy>,
    /// Tries that uploads wait for.
    bulkhead: Bulkhead,
}

/// Why there is no answer for the uploader.
#[derive(Debug)]
pub struct NotAnswered {
    pub failure: Failure,
    /// The event is tried again.
    pub will_retry: bool,
}

/// What remains of a claim after a try that took all its time, to write down how it went.
pub(super) const RECORD_MARGIN: Duration = Duration::from_secs(20);

/// A try that did not deliver.
struct Failed {
    failure: Failure,
    /// What the receiver asks for.
    retry_after: Option<Duration>,
    /// The beginning of what it said.
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
    /// # Errors
    /// The HTTP client cannot be made: the machine's certificates cannot be read. A rustls provider
    /// must be installed.
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

    /// Tries once and writes down how it went. Where that cannot be written, the claim's lease ends
    /// and the event is delivered will_retry: at least once.
    pub(super) async fn deliver(&self, pending: PendingAttempt, class: HostClass) -> AttemptResult {
        let began = Instant::now();
        let at_ms = self.clock.now_ms();
        let deadline = began + self.sender.timeout;
        let tried = match self.attempt(&pending.claimed.event, deadline).await {
            Ok(answer) => {
                answer.discard().await;
                Ok(())
            }
            Err(failed) => Err(failed),
        };
        let took = began.elapsed();
        let delivered = tried.is_ok();
        let verdict = self.judge(&pending, at_ms, took, tried.err());
        self.record(&pending, verdict).await;
        AttemptResult {
            host: pending.host,
            class,
            took,
            delivered,
        }
    }

    /// How long an event has to be claimed for [`deliver_and_wait`](Self::deliver_and_wait).
    pub fn claim(&self) -> Duration {
        self.sender.timeout + RECORD_MARGIN
    }

    /// Tries once, for an answer in JSON, and writes down how it went. An event without one is tried
    /// again later, as any other.
    pub async fn deliver_and_wait(&self, claimed: ClaimedEvent) -> Result<Bytes, NotAnswered> {
        let began = Instant::now();
        let at_ms = self.clock.now_ms();
        let pending = PendingAttempt::new(claimed);
        // What is left is enough for a try.
        let permit_by = began + self.sender.timeout / 2;
        let Ok(permit) = timeout_at(permit_by, self.bulkhead.acquire(&pending.host)).await else {
            // For whoever delivers what nobody waits for.
            self.put_back(&pending, self.clock.now_ms()).await;
            return Err(NotAnswered {
                failure: Failure::Timeout,
                will_retry: true,
            });
        };
        let deadline = began + self.sender.timeout;
        let (answered, failed) = match self.ask(&pending, deadline).await {
            Ok(answer) => (Ok(answer), None),
            Err(failed) => (Err(failed.failure), Some(failed)),
        };
        permit.finish(answered.is_ok());
        let verdict = self.judge(&pending, at_ms, began.elapsed(), failed);
        let will_retry = matches!(verdict, Verdict::RetryAt { .. });
        self.record(&pending, verdict).await;
        answered.map_err(|failure| NotAnswered {
            failure,
            will_retry,
        })
    }

    /// It was not tried, and is due again at `at_ms`.
    pub(super) async fn put_back(&self, pending: &PendingAttempt, at_ms: u64) {
        if let Err(error) = self
            .circuit_breaker
            .queue()
            .release_claim(pending.id(), at_ms)
            .await
        {
            tracing::error!(
                event_id = pending.id().as_str(), exception.message = %error,
                "a callback was not put back; it is handed out again when its lease ends"
            );
        }
    }

    /// An answer in JSON.
    async fn ask(&self, pending: &PendingAttempt, deadline: Instant) -> Result<Bytes, Failed> {
        let answer = self.attempt(&pending.claimed.event, deadline).await?;
        Ok(answer.json().await?)
    }

    /// An answer that says 2xx.
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

    fn judge(
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
        let attempt = Attempt {
            at_ms,
            duration_ms: millis(took),
            status: match failure {
                Failure::Status(status) => Some(status),
                Failure::Timeout
                | Failure::Dns
                | Failure::Connect
                | Failure::Tls
                | Failure::Protocol
                | Failure::Denied
                | Failure::Answer
                | Failure::Invalid => None,
            },
            error: failure.to_string(),
            answer,
        };
        // 410: the receiver wants no more of it. What cannot be sent now cannot be sent later.
        let hopeless = matches!(failure, Failure::Status(410) | Failure::Invalid);
        let tries_before = pending.claimed.attempts_since_replay();
        let random = getrandom::u32().unwrap_or(u32::MAX / 2);
        match retry::pause(&self.schedule, tries_before, retry_after, random) {
            Some(pause) if !hopeless => Verdict::RetryAt {
                at_ms: self.clock.now_ms().saturating_add(millis(pause)),
                attempt,
            },
            Some(_) | None => Verdict::GiveUp { attempt },
        }
    }

    async fn record(&self, pending: &PendingAttempt, verdict: Verdict) {
        match verdict {
            Verdict::Delivered => self.circuit_breaker.delivered(&pending.host),
            Verdict::RetryAt { .. } => self.circuit_breaker.failed(&pending.host),
            // What is dead does not wait.
            Verdict::GiveUp { .. } => {}
        }
        if let Err(error) = self.write(pending, verdict).await {
            tracing::error!(
                event_id = pending.id().as_str(), server.address = &*pending.host, exception.message = %error,
                "the outcome of a callback was not recorded; it will be sent again"
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
