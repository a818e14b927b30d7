//! The values of the tree: JSON, with one-letter names in entries that are written often.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::kv::Kv;
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

    /// Whether the grace period is over; then the token counts as never created.
    pub fn is_gone(&self, now: u64) -> bool {
        now >= self.record.expire_at.saturating_add(GRACE_SECONDS)
    }
}

#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// Spent hits.
    #[serde(rename = "u", default)]
    pub used: u64,
    /// Bytes charged against the budget of `hit_on: complete` by downloads that have ended.
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
    /// Bytes charged against the budget of `hit_on: complete`; free again when the lease lapses.
    #[serde(rename = "c", default, skip_serializing_if = "is_default")]
    pub charged: u64,
    /// Set when the upload is finalised.
    #[serde(rename = "f", default, skip_serializing_if = "Option::is_none")]
    pub intent: Option<Intent>,
    /// How often the lease was taken over.
    #[serde(rename = "n", default, skip_serializing_if = "is_default")]
    pub fencing_token: u32,
}

impl LeaseValue {
    pub fn has_lapsed(&self, now_ms: u64, owner: u64) -> bool {
        self.until <= now_ms || self.owner != owner
    }
}

/// A multipart upload in storage.
#[derive(Debug, Serialize, Deserialize)]
pub struct UploadValue {
    #[serde(flatten)]
    pub upload: MultipartUpload,
    /// Until when (Unix ms) it is handed out to be aborted, by the process `owner`.
    #[serde(default, skip_serializing_if = "is_default")]
    pub taken_until: u64,
    #[serde(default, skip_serializing_if = "is_default")]
    pub owner: u64,
}

/// The settlement of an upload that was taken over and committed.
#[derive(Debug, Serialize, Deserialize)]
pub struct CountedValue {
    /// Unix ms until which it is kept.
    #[serde(rename = "t")]
    pub until: u64,
}

/// A client's hit window, or the mark of a ride on it.
#[derive(Debug, Serialize, Deserialize)]
pub struct WindowValue {
    /// Unix ms.
    #[serde(rename = "t")]
    pub until: u64,
    /// Whether another request has ridden on the hit, which then is not released any more.
    #[serde(rename = "r", default, skip_serializing_if = "is_default")]
    pub ridden: bool,
}

/// An open event: a download in flight, with the report it gets if its process dies.
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
    /// The event as the queue's port returns it.
    pub fn stored(self, state: EventState) -> StoredEvent {
        StoredEvent {
            event: self.event,
            attempts: self.attempts,
            queued_at_ms: self.queued_at_ms,
            due_ms: (state == EventState::Pending).then_some(self.due_ms),
        }
    }
}

/// The value of an entry, if there is one.
pub fn read<T: DeserializeOwned>(kv: &impl Kv, key: &[u8]) -> Result<Option<T>> {
    kv.get(key)?.map(|bytes| decode(&bytes)).transpose()
}

pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    serde_json::from_slice(bytes)
        .map_err(|e| BackendError::with_source(ErrorKind::Corrupt, "embedded.decode", e))
}

pub fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>> {
    serde_json::to_vec(value)
        .map_err(|e| BackendError::with_source(ErrorKind::Corrupt, "embedded.encode", e))
}
