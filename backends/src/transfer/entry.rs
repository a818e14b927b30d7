//! The entries of an archive: tokens, uploads, downloads in flight, callback events.

use serde::{Deserialize, Serialize};

use crate::event::{Attempt, Event};
use crate::token_store::{GRACE_SECONDS, Intent, MultipartUpload, TokenId, TokenRecord};

/// One line of an archive: `{"KIND":{…}}`.
///
/// Leases are exported only of uploads left finalising; the holders of all others have ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Entry {
    /// A token.
    Token(Token),
    /// An upload left finalising, for recovery.
    Finalising(Finalising),
    /// A multipart upload in storage, to be aborted or recovered.
    Upload(RecordedUpload),
    /// The open event of a download in flight, with the report of an interrupted one.
    Download(Event),
    /// A pending callback event.
    Pending(Pending),
    /// A dead letter.
    Dead(Dead),
}

/// A token, its hits and its open windows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Token {
    /// Names the token.
    pub id: TokenId,
    /// Tells the token from earlier ones with the same id.
    #[serde(with = "hex_number")]
    pub incarnation: u64,
    /// What the token permits.
    pub record: TokenRecord,
    /// Spent hits.
    #[serde(default, skip_serializing_if = "is_default")]
    pub used_hits: u64,
    /// Bytes charged against the budget of `hit_on: complete`.
    #[serde(default, skip_serializing_if = "is_default")]
    pub charged_bytes: u64,
    /// Unix seconds of the last upload.
    #[serde(default, skip_serializing_if = "is_default")]
    pub uploaded_at: Option<u64>,
    /// Open hit windows, sorted by client.
    #[serde(default, skip_serializing_if = "is_default")]
    pub windows: Vec<Window>,
}

/// An open hit window.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Window {
    /// The [`ClientKey`](crate::caller::ClientKey), hex.
    pub client: String,
    /// End of the window, Unix milliseconds.
    pub until_ms: u64,
}

/// The lease of an upload left finalising.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Finalising {
    /// The token.
    pub token_id: TokenId,
    /// Names the lease.
    #[serde(with = "hex_number")]
    pub lease: u64,
    /// How often the lease was taken over.
    #[serde(rename = "turn", default, skip_serializing_if = "is_default")]
    pub fencing_token: u32,
    /// The object that was about to become visible.
    pub intent: Intent,
}

/// A multipart upload that is recorded under a lease.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RecordedUpload {
    /// The token.
    pub token_id: TokenId,
    /// Names the lease.
    #[serde(with = "hex_number")]
    pub lease: u64,
    /// The upload in storage.
    pub upload: MultipartUpload,
}

/// A pending callback event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Pending {
    /// The event.
    pub event: Event,
    /// Attempts so far, oldest first.
    #[serde(default, skip_serializing_if = "is_default")]
    pub attempts: Vec<Attempt>,
    /// Unix milliseconds at which the event was queued.
    pub queued_at_ms: u64,
    /// Unix milliseconds of the next attempt.
    pub due_ms: u64,
}

/// A dead letter.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Dead {
    /// The event.
    pub event: Event,
    /// Attempts, oldest first.
    #[serde(default, skip_serializing_if = "is_default")]
    pub attempts: Vec<Attempt>,
    /// Unix milliseconds at which the event was queued.
    pub queued_at_ms: u64,
}

impl Dead {
    /// Unix milliseconds of the last attempt, after which the event was given up.
    pub fn given_up_at_ms(&self) -> u64 {
        let last = self.attempts.last();
        last.map_or(self.queued_at_ms, |attempt| attempt.at_ms)
    }
}

impl Entry {
    /// Whether this is a token whose grace period is over at `now` (Unix seconds).
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

    /// Removes windows that have expired at `now_ms` (Unix milliseconds).
    pub fn close_windows(&mut self, now_ms: u64) {
        if let Self::Token(token) = self {
            token.windows.retain(|window| window.until_ms > now_ms);
        }
    }
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// Serialises 64-bit numbers as 16 hex digits, because JSON numbers lose precision in many parsers.
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
