//! A callback event: one access of a token with a callback, and the attempts to deliver it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::caller::Caller;
use crate::token_record::{BodyTemplate, Method, TokenId, TokenRecord};

/// Identifies a queued event; the receiver's idempotency key. `evt_` and a UUIDv7 in hex, so that
/// ids sort by time.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EventId(String);

impl EventId {
    /// Makes a new id.
    pub fn generate() -> Self {
        Self(format!("evt_{}", uuid::Uuid::now_v7().simple()))
    }

    /// The id as receivers see it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Takes an id as a client names it, without a check against any queue.
    pub fn from_string(id: String) -> Self {
        Self(id)
    }
}

/// How an access ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// All bytes went out, or came in.
    Complete,
    /// The client left before the last byte.
    Aborted,
    /// Storage broke in the middle.
    Failed,
    /// The node died in the middle.
    Interrupted,
}

/// The result of an access, known when it ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// How the access ended.
    pub outcome: Outcome,
    /// HTTP status of the answer; 0 where the node died before it was known.
    pub status: u16,
    /// Bytes of the object for PUT and HEAD, bytes sent for GET.
    pub size: u64,
    /// Entity tag without quotes, or empty.
    pub etag: String,
    /// Media type of the object, or empty where none is known.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub content_type: String,
}

impl Report {
    /// The report of an object that is there as a whole.
    pub const fn complete(size: u64, etag: String, content_type: String) -> Self {
        Self {
            outcome: Outcome::Complete,
            status: 200,
            size,
            etag,
            content_type,
        }
    }

    /// The report of a download whose node died.
    pub const fn interrupted() -> Self {
        Self {
            outcome: Outcome::Interrupted,
            status: 0,
            size: 0,
            etag: String::new(),
            content_type: String::new(),
        }
    }
}

/// One access of an object through a token with a callback.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Names the event in the queue and to its receiver.
    pub id: EventId,
    /// The token.
    pub token_id: TokenId,
    /// The callback URL.
    pub target: String,
    /// HTTP method of the access.
    pub method: String,
    /// Bucket alias.
    pub bucket: String,
    /// Object key.
    pub key: String,
    /// Who accessed the object.
    pub caller: Caller,
    /// How the access ended.
    pub report: Report,
    /// Unix seconds of the access.
    pub timestamp: u64,
    /// Metadata of the token.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
    /// Template of the body; `None`: the gateway's own JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<BodyTemplate>,
}

impl Event {
    /// Makes the event of an access with `method` at `timestamp` (Unix seconds); `None` for a token
    /// without a callback.
    pub fn of(
        token_id: TokenId,
        record: &TokenRecord,
        method: Method,
        caller: impl Into<Caller>,
        report: Report,
        timestamp: u64,
    ) -> Option<Self> {
        let target = record.callback.clone()?;
        Some(Self {
            id: EventId::generate(),
            token_id,
            target,
            method: method.as_str().to_owned(),
            bucket: record.bucket.clone(),
            key: record.key.clone(),
            caller: caller.into(),
            report,
            timestamp,
            metadata: record.metadata.clone(),
            template: record.callback_body.clone(),
        })
    }
}

/// One attempt to deliver an event, or a replay in the event's history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// Unix milliseconds at which the attempt began.
    pub at_ms: u64,
    /// Milliseconds until the receiver had answered, or the attempt had failed.
    pub duration_ms: u64,
    /// HTTP status of the receiver; `None` without an answer.
    pub status: Option<u16>,
    /// Stable word for the error: `timeout`, `connect`, `status_500`, …; empty after a success.
    pub error: String,
    /// Beginning of the receiver's answer, up to 1 KiB.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub answer: String,
}

/// [`Attempt::error`] of a replay.
const REPLAYED: &str = "replayed";
/// Attempts that stay in an event's history when it is replayed.
const MAX_ATTEMPTS_BEFORE_REPLAY: usize = 20;

impl Attempt {
    /// Whether the entry marks a replay, not an attempt.
    pub fn is_replay(&self) -> bool {
        self.error == REPLAYED
    }
}

/// The history of an event after a replay at `now_ms`.
pub(crate) fn history_after_replay(mut attempts: Vec<Attempt>, now_ms: u64) -> Vec<Attempt> {
    attempts.drain(..attempts.len().saturating_sub(MAX_ATTEMPTS_BEFORE_REPLAY));
    attempts.push(Attempt {
        at_ms: now_ms,
        duration_ms: 0,
        status: None,
        error: REPLAYED.to_owned(),
        answer: String::new(),
    });
    attempts
}

/// An event that this node has claimed for delivery.
#[derive(Debug, Clone)]
pub struct ClaimedEvent {
    /// The event.
    pub event: Event,
    /// Attempts so far, oldest first.
    pub attempts: Vec<Attempt>,
    /// Unix milliseconds at which the event was queued.
    pub queued_at_ms: u64,
}

impl ClaimedEvent {
    /// Attempts since the event was queued or last replayed: its place in the retry schedule.
    pub fn attempts_since_replay(&self) -> usize {
        let newest_first = self.attempts.iter().rev();
        newest_first
            .take_while(|attempt| !attempt.is_replay())
            .count()
    }
}
