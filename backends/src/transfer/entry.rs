//! What an archive holds of a store, one entry a line.

use serde::{Deserialize, Serialize};

use crate::event::{Attempt, Event};
use crate::token_store::{GRACE_SECONDS, Intent, MultipartUpload, TokenId, TokenRecord};

/// One line: `{"KIND":{…}}`.
///
/// Leases are not among the kinds, but for uploads that are left finalising: the processes that held
/// them have ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Entry {
    Token(Token),
    /// An upload that may have become visible: to be settled by a look at the object.
    Finalising(Finalising),
    /// An upload in parts that storage has begun: to be aborted, or settled first.
    Upload(PartsUpload),
    /// A download with a callback whose end nobody has reported. Its report says interrupted.
    Download(Event),
    /// A callback that waits for delivery.
    Pending(Pending),
    /// A callback that was given up.
    Dead(Dead),
}

/// A token and what happened to it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Token {
    /// The beginning of the token's digest.
    pub id: TokenId,
    #[serde(with = "hex_number")]
    pub incarnation: u64,
    pub record: TokenRecord,
    #[serde(default, skip_serializing_if = "is_default")]
    pub used_hits: u64,
    /// Bytes sent under the budget of `hit_on: complete`.
    #[serde(default, skip_serializing_if = "is_default")]
    pub charged_bytes: u64,
    /// Unix seconds of the last upload.
    #[serde(default, skip_serializing_if = "is_default")]
    pub uploaded_at: Option<u64>,
    /// Windows that are open on counted hits, by client.
    #[serde(default, skip_serializing_if = "is_default")]
    pub windows: Vec<Window>,
}

/// Until when a client rides on a counted hit.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Window {
    /// The [`ClientKey`](crate::caller::ClientKey), hex.
    pub client: String,
    /// Unix milliseconds.
    pub until_ms: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Finalising {
    pub token_id: TokenId,
    #[serde(with = "hex_number")]
    pub lease: u64,
    /// How often the lease was taken over.
    #[serde(rename = "turn", default, skip_serializing_if = "is_default")]
    pub fencing_token: u32,
    pub intent: Intent,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PartsUpload {
    pub token_id: TokenId,
    #[serde(with = "hex_number")]
    pub lease: u64,
    pub upload: MultipartUpload,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Pending {
    pub event: Event,
    /// Oldest first.
    #[serde(default, skip_serializing_if = "is_default")]
    pub attempts: Vec<Attempt>,
    /// Unix milliseconds, as the next one.
    pub queued_at_ms: u64,
    pub due_ms: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Dead {
    pub event: Event,
    /// Oldest first.
    #[serde(default, skip_serializing_if = "is_default")]
    pub attempts: Vec<Attempt>,
    /// Unix milliseconds.
    pub queued_at_ms: u64,
}

impl Dead {
    /// Unix milliseconds of the last try: when it was given up.
    pub fn given_up_at_ms(&self) -> u64 {
        let last = self.attempts.last();
        last.map_or(self.queued_at_ms, |attempt| attempt.at_ms)
    }
}

impl Entry {
    /// A token past its grace at `now` (Unix seconds): it is as if it had never been.
    pub fn is_gone(&self, now: u64) -> bool {
        match self {
            Self::Token(token) => now >= token.record.expire_at.saturating_add(GRACE_SECONDS),
            Self::Finalising(_)
            | Self::Upload(_)
            | Self::Download(_)
            | Self::Pending(_)
            | Self::Dead(_) => false,
        }
    }

    /// Leaves out windows that are over at `now_ms` (Unix milliseconds).
    pub fn close_windows(&mut self, now_ms: u64) {
        if let Self::Token(token) = self {
            token.windows.retain(|window| window.until_ms > now_ms);
        }
    }
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// Numbers of 64 random bits as 16 hex digits: JSON's own numbers are not exact everywhere.
mod hex_number {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub fn serialize<S: Serializer>(number: &u64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{number:016x}"))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        u64::from_str_radix(&text, 16).map_err(D::Error::custom)
    }
}
