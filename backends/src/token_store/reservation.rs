//! Reservations: what a caller asks of `reserve`, the answers, and the leases behind them.

use std::time::Duration;

use super::{Method, MultipartUpload, TokenId, TokenRecord};
use crate::caller::{Caller, CallerRef, ClientKey};
use crate::event::EventId;

/// Hit windows that a token may have open at once.
pub const MAX_WINDOWS_PER_TOKEN: usize = 64;
/// Hit windows of a token for clients of one address, which can vary its user agent at will.
pub const MAX_WINDOWS_PER_ADDRESS: usize = 8;
/// Marks of rides that a token may have; a token with more opens no window until some have expired.
pub const MAX_RIDDEN_WINDOWS: usize = 512;

/// The kind of an access.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// A download.
    Get,
    /// An upload.
    Put,
}

/// The arguments of [`TokenStore::reserve`](super::TokenStore::reserve).
#[derive(Debug, Clone, Copy)]
pub struct ReserveRequest<'a> {
    /// Download or upload.
    pub access: Access,
    /// Length that an upload declares.
    pub declared_size: Option<u64>,
    /// The incarnation whose rules the caller has checked, see [`Reserved::CheckRules`].
    pub rules_checked: Option<u64>,
    /// How long a leased hit is held without [`renew`](super::TokenStore::renew).
    pub lease: Duration,
    /// The caller, for the event and for hit windows.
    pub caller: CallerRef<'a>,
}

/// The answer of [`TokenStore::reserve`](super::TokenStore::reserve).
#[derive(Debug)]
pub enum Reserved {
    /// The hit is counted or leased.
    Admitted {
        /// What the token permits.
        record: TokenRecord,
        /// To be committed or released.
        reservation: Reservation,
    },
    /// The token has `allowed_ips`, `allowed_referers` or `not_before`: the caller checks them and
    /// calls again with `rules_checked`. Nothing was counted.
    CheckRules {
        /// The rules.
        record: TokenRecord,
        /// For [`ReserveRequest::rules_checked`].
        incarnation: u64,
    },
    /// The access is refused. Nothing was counted.
    Refused(Refusal),
}

/// Why an access is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The token does not exist, or its grace period is over.
    NotFound,
    /// The token has expired.
    Expired,
    /// The token permits this method only.
    Method(Method),
    /// The declared size exceeds the token's limit.
    SizeExceeded {
        /// The token's limit in bytes.
        limit: u64,
    },
    /// All hits are spent or leased.
    HitsExceeded,
    /// `max_pending` callback events wait.
    QueueFull,
}

/// An admitted hit. The store makes it, and exactly one of
/// [`commit`](super::TokenStore::commit) and [`release`](super::TokenStore::release) consumes it.
#[derive(Debug)]
pub struct Reservation {
    pub(crate) token_id: TokenId,
    /// Tells the token from earlier and later ones with the same id.
    pub(crate) incarnation: u64,
    pub(crate) hold: Hold,
    pub(crate) event: Option<EventId>,
}

impl Reservation {
    /// The token.
    pub fn token_id(&self) -> TokenId {
        self.token_id
    }

    /// Tells the token that admitted the access from earlier and later ones with the same id.
    pub fn incarnation(&self) -> u64 {
        self.incarnation
    }

    /// Whether the store needs a [`commit`](super::TokenStore::commit) of a successful access.
    pub fn wants_commit(&self) -> bool {
        self.lease().is_some() || self.event.is_some()
    }

    /// The lease to renew; `None` for a hit that is not leased.
    pub fn lease(&self) -> Option<LeaseId> {
        match self.hold {
            Hold::Leased(lease) => Some(lease),
            Hold::Batched | Hold::Counted { .. } | Hold::Riding => None,
        }
    }

    /// Unique text for [`PutOptions::marker`](crate::object_backend::PutOptions); `None` without a
    /// lease.
    pub fn marker(&self) -> Option<String> {
        self.lease().map(|id| format!("{:016x}", id.lease))
    }
}

/// Names a lease, so that another task can renew it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeaseId {
    pub(crate) token_id: TokenId,
    pub(crate) lease: u64,
    /// How often a sweep has taken the lease over; calls with an older number answer `Lost`.
    pub(crate) fencing_token: u32,
}

impl LeaseId {
    /// The token.
    pub fn token_id(&self) -> TokenId {
        self.token_id
    }
}

/// How a reservation holds its hit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hold {
    /// Unlimited token: added up in memory, written in batches.
    Batched,
    /// Spent by the write that admitted the access.
    Counted { window: Option<Window> },
    /// Within the hit window of a counted hit.
    Riding,
    /// Held until commit, release or the lease's deadline.
    Leased(LeaseId),
}

/// The hit window that a counted hit has opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Window {
    pub(crate) client: ClientKey,
    /// Unix milliseconds; tells the window from a later one of the same client.
    pub(crate) until: u64,
}

/// The object that an upload is about to make visible, so that recovery can tell whether it did.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Intent {
    /// Bytes of the object.
    pub size: u64,
    /// The caller, for the event.
    pub caller: Caller,
    /// Unix milliseconds; an object that was modified earlier is not this upload's.
    pub at_ms: u64,
}

/// The answer of calls on a lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeaseState {
    /// The caller holds the lease, and the call was carried out.
    Held,
    /// The lease has lapsed or was taken over, or the token was deleted. Nothing was changed.
    Lost,
}

/// The outcome of a finalised upload whose holder has lost its lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settlement {
    /// Undecided: recovery has not looked for the object yet.
    Open,
    /// Recovery has found the object and committed the upload.
    Counted,
    /// The hit was released, or the token is gone.
    Void,
}

/// The answer of [`TokenStore::charge`](super::TokenStore::charge).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Charged {
    /// The bytes are charged.
    Done,
    /// The bytes exceed the budget; none were charged.
    OverBudget,
    /// The lease is lost; none were charged.
    Lost,
}

/// An upload left finalising: its node died between `finalise` and `commit`. The recipient
/// holds the lease, and commits or releases it.
#[derive(Debug)]
pub struct UnsettledUpload {
    /// What the token permits.
    pub record: TokenRecord,
    /// To be committed or released.
    pub reservation: Reservation,
    /// The object to look for.
    pub intent: Intent,
    /// The multipart upload that was recorded under the lease.
    pub open_upload: Option<MultipartUpload>,
}
