//! The upload protocol: one state machine for every way in which an object comes in.
//!
//! A caller admits an access and takes its [`Ticket`](super::Ticket) through the states. Each state is a
//! type, and each transition consumes it, so that no step can be left out or done twice.
//!
//! ```text
//! Ticket        a hit is leased
//!   │ begin       preconditions hold, storage takes chunks
//!   ▼
//! Receiving     nothing is visible ─── error, caller gone, lease lost ──► removed, hit released
//!   │ finalise    the intent is durable; the caller may go
//!   ▼
//! Finalising    ────────────────────── storage has not stored it ───────► hit released
//!   │ store       │
//!   │             └─────────────────── no answer, node dead ──► recovery: committed, or hit released
//!   ▼
//! Visible       ────────────────────── lease lost ──► outcome of the recovery, or a new hit
//!   │ commit      the hit is spent and the event queued, in one durable write
//!   ▼
//! Uploaded      the caller answers, with the receiver's body for `callback_mode: sync`
//! ```

pub mod abandoned;
pub mod finalising;
pub mod lease_lost;
pub mod receiving;
pub mod recovery;

use asset_gateway_backends::BackendError;
use asset_gateway_backends::object_backend::Stored;
use asset_gateway_backends::token_store::Refusal;
use bytes::Bytes;

use super::lease::LeaseLost;
use crate::callbacks::NotAnswered;

/// The last state: an object that is visible and counted.
pub struct Uploaded {
    pub stored: Stored,
    /// Answer of the callback's receiver; `None` with `callback_mode: async`, or without a callback.
    pub callback: Option<Result<Bytes, NotAnswered>>,
}

/// Why an upload failed. Nothing was stored, but for `Uncounted`, and where storage or the store gave no
/// answer: recovery then looks for the object.
#[derive(Debug)]
pub enum UploadError {
    /// A precondition of the request or of the token does not hold for the object.
    PreconditionFailed,
    /// Storage cannot say whether the preconditions hold.
    Preconditions(BackendError),
    TooLong {
        /// Bytes that the token takes.
        limit: u64,
    },
    Storage(BackendError),
    TokenStore(BackendError),
    LeaseLost(LeaseLost),
    Uncounted(Uncounted),
    /// A bug: a step after the last one, or a panic.
    Internal(String),
}

impl From<LeaseLost> for UploadError {
    fn from(lost: LeaseLost) -> Self {
        Self::LeaseLost(lost)
    }
}

/// Why no hit counts an object that is stored.
#[derive(Debug)]
pub enum Uncounted {
    Refused(Refusal),
    /// The recovery has not decided in time.
    Undecided,
    TokenStore(BackendError),
}

impl From<BackendError> for Uncounted {
    fn from(error: BackendError) -> Self {
        Self::TokenStore(error)
    }
}
