//! What is stored under the keys: JSON, with short names where an entry is written often.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::callback_queue::{EventState, StoredEvent};
use crate::error::{BackendError, ErrorKind, Result};
use crate::event::{Attempt, Event};
use crate::token_store::{GRACE_SECONDS, Intent, MultipartUpload, TokenRecord};

#[derive(Debug, Serialize, Deserialize)]
pub struct TokenValue {
    #[serde(rename = "i")]
    pub incarnation: u64,
    #[serde(rename = "r")]
    pub record: TokenRecord,
}

impl TokenValue {
    pub fn is_expired(&self, now: u64) -> bool {
        now >= self.record.expire_at
    }

    /// Past its day of grace: as if it had never been.
    pub fn is_gone(&self, now: u64) -> bool {
        now >= self.record.expire_at.saturating_add(GRACE_SECONDS)
    }
}

#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// Spent hits.
    #[serde(rename = "u", default)]
    pub used: u64,
    /// Bytes sent under the budget of `hit_on: complete` by downloads that have ended.
    #[serde(rename = "c", default, skip_serializing_if = "is_default")]
    pub charged: u64,
    /// Unix seconds of the last upload.
    #[serde(rename = "a", default, skip_serializing_if = "Option::is_none")]
    pub uploaded_at: Option<u64>,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

#[derive(Debug, Serialize, Deserialize)]
pub struct LeaseValue {
    /// Unix ms.
    #[serde(rename = "t")]
    pub until: u64,
    #[serde(rename = "o")]
    pub owner: u64,
    /// Bytes charged against the budget of `hit_on: complete`; they come back with a lapsed lease.
    #[serde(rename = "c", default, skip_serializing_if = "is_default")]
    pub charged: u64,
    /// Set once the upload is about to become visible.
    #[serde(rename = "f", default, skip_serializing_if = "Option::is_none")]
    pub intent: Option<Intent>,
    /// How often it was taken over.
    #[serde(rename = "n", default, skip_serializing_if = "is_default")]
    pub fencing_token: u32,
}

impl LeaseValue {
    pub fn has_lapsed(&self, now_ms: u64, owner: u64) -> bool {
        self.until <= now_ms || self.owner != owner
    }
}

/// An upload in parts.
#[derive(Debug, Serialize, Deserialize)]
pub struct UploadValue {
    #[serde(flatten)]
    pub upload: MultipartUpload,
    /// Somebody tries to abort it until then (Unix ms); of this process only.
    #[serde(default, skip_serializing_if = "is_default")]
    pub taken_until: u64,
    #[serde(default, skip_serializing_if = "is_default")]
    pub owner: u64,
}

/// An upload that was counted by whoever took it over.
#[derive(Debug, Serialize, Deserialize)]
pub struct CountedValue {
    /// Unix ms; nobody asks any more.
    #[serde(rename = "t")]
    pub until: u64,
}

/// A client's window on a counted hit.
#[derive(Debug, Serialize, Deserialize)]
pub struct WindowValue {
    /// Unix ms.
    #[serde(rename = "t")]
    pub until: u64,
    /// Another request rides on the hit, which can no longer be given back.
    #[serde(rename = "r", default, skip_serializing_if = "is_default")]
    pub ridden: bool,
}

/// An access that is under way; `event.report` is what is known so far.
#[derive(Debug, Serialize, Deserialize)]
pub struct OpenValue {
    pub owner: u64,
    pub event: Event,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct EventValue {
    pub event: Event,
    pub attempts: Vec<Attempt>,
    pub queued_at_ms: u64,
    pub due_ms: u64,
}

impl EventValue {
    pub fn kept(self, state: EventState) -> StoredEvent {
        StoredEvent {
            event: self.event,
            attempts: self.attempts,
            queued_at_ms: self.queued_at_ms,
            due_ms: (state == EventState::Pending).then_some(self.due_ms),
        }
    }
}

pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    serde_json::from_slice(bytes)
        .map_err(|e| BackendError::with_source(ErrorKind::Corrupt, "embedded.decode", e))
}

pub fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>> {
    serde_json::to_vec(value)
        .map_err(|e| BackendError::with_source(ErrorKind::Corrupt, "embedded.encode", e))
}
