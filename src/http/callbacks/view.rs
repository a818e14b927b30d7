//! Response bodies of the control plane's calls about callbacks.

use asset_gateway_backends::callback_queue::StoredEvent;
use asset_gateway_backends::event::Attempt;
use serde::Serialize;

use crate::callbacks::receiver_host;

/// A page of callbacks.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct CallbackPage {
    pub callbacks: Vec<CallbackView>,
    /// Where the next page begins; `null` on the last.
    pub cursor: Option<String>,
}

/// How many were replayed.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Replayed {
    pub replayed: u64,
    /// Half of `callback.max_pending` waits now, and there are more: call again later.
    pub more: bool,
}

/// A callback.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = Callback)]
pub struct CallbackView {
    /// `webhook-id` and `event_id` at the receiver.
    id: String,
    token_id: String,
    /// `pending` or `dead`.
    state: &'static str,
    /// Host and port of the callback's URL; the rest may hold secrets.
    target_host: String,
    /// Tries so far.
    attempts: usize,
    /// A stable word, such as `timeout`, `connect`, `target_denied`, `status_500`; empty before the
    /// first try.
    last_error: String,
    /// Unix seconds; `null` where it was given up.
    next_attempt_at: Option<u64>,
    /// Unix seconds.
    created_at: u64,
}

impl CallbackView {
    pub fn new(kept: &StoredEvent) -> Self {
        let tries = || kept.attempts.iter().filter(|attempt| !attempt.is_replay());
        let last_error = tries().next_back().map(|attempt| attempt.error.clone());
        Self {
            id: kept.event.id.as_str().to_owned(),
            token_id: kept.event.token_id.to_string(),
            state: state(kept.due_ms),
            target_host: receiver_host(&kept.event.target),
            attempts: tries().count(),
            last_error: last_error.unwrap_or_default(),
            next_attempt_at: kept.due_ms.map(seconds),
            created_at: seconds(kept.queued_at_ms),
        }
    }
}

/// A callback with all that is known of it.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = CallbackDetails)]
pub struct DetailView {
    #[serde(flatten)]
    callback: CallbackView,
    method: String,
    bucket: String,
    key: String,
    request_id: String,
    /// Oldest first; a replay keeps the last 20.
    history: Vec<AttemptView>,
}

/// A try, or the moment of a replay.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = CallbackAttempt)]
struct AttemptView {
    /// Unix milliseconds.
    at_ms: u64,
    duration_ms: u64,
    /// HTTP status; `null` where there was no answer.
    status: Option<u16>,
    /// As `last_error`; `replayed` where it was no try.
    error: String,
    /// The first 1 KiB of the receiver's answer.
    answer: String,
}

impl DetailView {
    pub fn new(kept: StoredEvent) -> Self {
        Self {
            callback: CallbackView::new(&kept),
            method: kept.event.method,
            bucket: kept.event.bucket,
            key: kept.event.key,
            request_id: kept.event.caller.request_id,
            history: kept.attempts.into_iter().map(AttemptView::from).collect(),
        }
    }

    /// As it is once it has been replayed.
    pub fn replayed(mut self) -> Self {
        self.callback.state = state(Some(0));
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        self.callback.next_attempt_at = now.ok().map(|since| since.as_secs());
        self
    }
}

impl From<Attempt> for AttemptView {
    fn from(attempt: Attempt) -> Self {
        Self {
            at_ms: attempt.at_ms,
            duration_ms: attempt.duration_ms,
            status: attempt.status,
            error: attempt.error,
            answer: attempt.answer,
        }
    }
}

fn state(due_ms: Option<u64>) -> &'static str {
    match due_ms {
        Some(_) => "pending",
        None => "dead",
    }
}

fn seconds(ms: u64) -> u64 {
    ms / 1_000
}
