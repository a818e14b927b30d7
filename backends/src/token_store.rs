//! The port to the token store: tokens, their hits, their leases.

mod filter;
mod open_upload;

use std::time::Duration;

use async_trait::async_trait;

pub use crate::token_record::{
    BodyTemplate, BodyType, CallbackMode, Disposition, HitOn, Method, TokenId, TokenRecord,
};
pub use filter::{Filter, TokenState};
pub use open_upload::{AbandonedUpload, MultipartUpload};

use crate::caller::{Caller, CallerRef, ClientKey};
use crate::error::Result;
use crate::event::{ClaimedEvent, EventId, Report};

/// A day: how long an expired token is still known (410) and can be revived.
pub const GRACE_SECONDS: u64 = 24 * 3600;

/// A token and what happened to it.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredToken {
    pub id: TokenId,
    /// Tells a token from one that was deleted and created again.
    pub incarnation: u64,
    pub record: TokenRecord,
    /// Hits that are spent. Leased ones are not in it.
    pub used_hits: u64,
    /// Unix seconds of the last upload through this token.
    pub uploaded_at: Option<u64>,
}

/// What [`TokenStore::create`] says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Created {
    Done,
    /// The token at this index of the input is taken, by an unexpired one or by an earlier one of
    /// the same batch. Nothing was written.
    Exists {
        index: usize,
    },
}

/// A change of [`TokenStore::patch`]: the outer `None` leaves a field as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Patch {
    /// Unix seconds.
    pub expire_at: Option<u64>,
    /// `Some(None)` = unlimited.
    pub max_hits: Option<Option<u64>>,
    pub callback: Option<Option<String>>,
    pub metadata: Option<std::collections::BTreeMap<String, String>>,
}

#[derive(Debug, Clone)]
pub struct Page {
    pub tokens: Vec<StoredToken>,
    /// Where the next page begins; `None` = this was the last. Opaque, printable ASCII.
    pub cursor: Option<String>,
}

/// How an access wants in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    Get,
    Put,
}

/// Windows of `hit_window` that a token can have open at once.
pub const MAX_WINDOWS_PER_TOKEN: usize = 64;
/// How many of them are for clients of one address, which can make up as many as it likes.
pub const MAX_WINDOWS_PER_ADDRESS: usize = 8;
/// Marks of windows that somebody has ridden on: past it a token opens no window until some of them
/// are forgotten.
pub const MAX_RIDDEN_WINDOWS: usize = 512;

#[derive(Debug, Clone, Copy)]
pub struct ReserveRequest<'a> {
    pub access: Access,
    /// Length that an upload declares.
    pub declared_size: Option<u64>,
    /// The incarnation whose rules the caller has checked, see [`Reserved::CheckRules`].
    pub rules_checked: Option<u64>,
    /// How long a leased hit is held without [`TokenStore::renew`].
    pub lease: Duration,
    /// For the event of a token with a callback, and for `hit_window`.
    pub caller: CallerRef<'a>,
}

#[derive(Debug)]
pub enum Reserved {
    /// The hit is counted or leased.
    Admitted {
        record: TokenRecord,
        reservation: Reservation,
    },
    /// The token has `allowed_ips`, `allowed_referers` or `not_before`: check them and call again
    /// with `rules_checked`. Nothing was counted.
    CheckRules {
        record: TokenRecord,
        incarnation: u64,
    },
    Refused(Refusal),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    NotFound,
    Expired,
    /// The token is for this method.
    Method(Method),
    SizeExceeded {
        limit: u64,
    },
    HitsExceeded,
    /// `max_pending` callback events wait.
    QueueFull,
}

/// A hit that was admitted. Made by the store, and spent by exactly one of
/// [`commit`](TokenStore::commit) and [`release`](TokenStore::release), both of which take it.
#[derive(Debug)]
pub struct Reservation {
    pub(crate) token_id: TokenId,
    /// Tells a token from one that was deleted and created again.
    pub(crate) incarnation: u64,
    pub(crate) hold: Hold,
    pub(crate) event: Option<EventId>,
}

impl Reservation {
    pub fn token_id(&self) -> TokenId {
        self.token_id
    }

    /// Tells the token that let the access in from one that was made anew under its name.
    pub fn incarnation(&self) -> u64 {
        self.incarnation
    }

    /// The store wants to hear of the end of this access even where it went well.
    pub fn wants_commit(&self) -> bool {
        self.lease().is_some() || self.event.is_some()
    }

    /// The lease that has to be renewed; `None` where there is none.
    pub fn lease(&self) -> Option<LeaseId> {
        match self.hold {
            Hold::Leased(lease) => Some(lease),
            Hold::Batched | Hold::Counted { .. } | Hold::Riding => None,
        }
    }

    /// A word of its own for [`PutOptions::marker`](crate::object_backend::PutOptions).
    pub fn marker(&self) -> Option<String> {
        self.lease().map(|id| format!("{:016x}", id.lease))
    }
}

/// Names a lease, to renew it from elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeaseId {
    pub(crate) token_id: TokenId,
    pub(crate) lease: u64,
    /// Fails the calls of a holder whose lease a sweep has taken over, see [`TokenStore::sweep`].
    pub(crate) fencing_token: u32,
}

impl LeaseId {
    pub fn token_id(&self) -> TokenId {
        self.token_id
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hold {
    /// Unlimited: added up in memory, written in batches.
    Batched,
    /// Spent in the write that admitted it.
    Counted { window: Option<Window> },
    /// Rides on a counted hit of the same client.
    Riding,
    /// Held until commit, release or the lease's end.
    Leased(LeaseId),
}

/// A window that a counted hit has opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Window {
    pub(crate) client: ClientKey,
    /// Unix ms; tells it from a later one of the same client.
    pub(crate) until: u64,
}

/// What an upload is about to make visible; enough to tell afterwards whether it did.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Intent {
    pub size: u64,
    pub caller: Caller,
    /// Unix milliseconds; an object that was modified before is another one.
    pub at_ms: u64,
}

/// The answer of calls on a lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeaseState {
    Held,
    /// The lease has lapsed, or the token was deleted. Nothing was changed.
    Lost,
}

/// What has become of a finalised lease whose holder has lost it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settlement {
    /// Not decided: somebody will look for the object.
    Open,
    /// Whoever took it over has found the object and counted the upload.
    Counted,
    /// The hit was given back, or the token is gone.
    Void,
}

/// The answer of [`TokenStore::charge`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Charged {
    Done,
    /// The bytes do not fit in the budget; none were charged.
    OverBudget,
    Lost,
}

/// An upload whose node died between "about to become visible" and the commit. The lease is
/// renewed for whoever got this: commit or release it.
#[derive(Debug)]
pub struct UnsettledUpload {
    pub record: TokenRecord,
    pub reservation: Reservation,
    pub intent: Intent,
    /// The upload in parts that was recorded under the lease.
    pub open_upload: Option<MultipartUpload>,
}

/// Tokens, hits and leases.
///
/// - **Atomic**: each method decides and writes in one step; no interleaving admits more than
///   `max_hits` (spent plus leased).
/// - **Durable**: what a method returned survives the death of the process, but for the hits of
///   unlimited tokens, which are written by [`flush_usage`](Self::flush_usage).
/// - **Dropping** the future of `reserve` gives the hit back; dropping any other may or may not
///   have done the work.
/// - A missing token is an answer, never an error; errors mean that the store is away or broken.
/// - The store's clock decides about expiry and leases.
#[async_trait]
pub trait TokenStore: Send + Sync {
    /// Writes all tokens or none. An expired token may be taken again; everything of its earlier
    /// life is forgotten.
    async fn create(&self, tokens: Vec<(TokenId, TokenRecord)>) -> Result<Created>;

    /// The token, also an expired one within its day of grace.
    async fn get(&self, id: TokenId) -> Result<Option<StoredToken>>;

    /// Changes fields and returns the token as it is then; `None` where it is not there.
    async fn patch(&self, id: TokenId, patch: Patch) -> Result<Option<StoredToken>>;

    /// Revokes: every later `reserve` is refused, and leases are lost. A hit that was counted before
    /// has happened: its event is still finished by `commit`. `false` where it was not there.
    async fn delete(&self, id: TokenId) -> Result<bool>;

    /// A page of up to `limit` tokens in the store's order. May return fewer, even none, with a
    /// cursor where a filter passes over many. `None`: the cursor is not one of this store's.
    async fn list(
        &self,
        filter: &Filter,
        limit: usize,
        cursor: Option<&str>,
    ) -> Result<Option<Page>>;

    /// Revokes all that match, and says how many. Not atomic; calling it again is harmless.
    async fn delete_matching(&self, filter: &Filter) -> Result<u64>;

    /// Decides, in this order: not found, expired, method, rules, size, hits, room in the callback
    /// queue. Then counts the hit, or leases it for uploads and limited `hit_on: complete`; within
    /// `hit_window` of its counted hit a client rides on that, even where none is left; of the
    /// [`MAX_WINDOWS_PER_TOKEN`] that a token can have open at once, [`MAX_WINDOWS_PER_ADDRESS`] are for one address. A
    /// client without a window is counted each time. With a callback and `Access::Get`, an open event entry is part of the same write.
    async fn reserve(&self, id: TokenId, request: &ReserveRequest<'_>) -> Result<Reserved>;

    /// For `hit_on: complete`: charges `bytes` against the token's budget before they are sent. What
    /// a lapsed lease has charged is free again, with its hit.
    async fn charge(&self, reservation: &Reservation, bytes: u64, budget: u64) -> Result<Charged>;

    /// Holds a leased hit until `duration` from now.
    async fn renew(&self, lease: LeaseId, duration: Duration) -> Result<LeaseState>;

    /// Records that the upload is about to become visible, and renews the lease. From here on a
    /// lapsed lease is not given back but handed out by [`sweep`](Self::sweep).
    async fn finalise(
        &self,
        reservation: &Reservation,
        intent: Intent,
        lease: Duration,
    ) -> Result<LeaseState>;

    /// The access happened: a leased hit is spent, the event (where the token has a callback) is
    /// queued if its outcome is one that is sent. An upload is one that was finalised: only then
    /// `uploaded_at` is set and an event queued, with the callback and metadata that the token has
    /// now. `Lost` (lapsed lease, even where nobody took the hit; taken over by a sweep; deleted or
    /// re-created token) spends and queues nothing, and drops the open event entry.
    async fn commit(&self, reservation: Reservation, report: Report) -> Result<LeaseState>;

    /// As [`commit`](Self::commit). The event that an upload queues is handed to the caller, claimed
    /// for `claim` as by [`CallbackQueue::claim`](crate::callback_queue::CallbackQueue::claim):
    /// nobody else gets it before. `None` where none was queued.
    async fn commit_claiming(
        &self,
        reservation: Reservation,
        report: Report,
        claim: Duration,
    ) -> Result<(LeaseState, Option<ClaimedEvent>)>;

    /// It did not: the hit is given back, once; `unsent` bytes of a charge too, even where the lease
    /// has lapsed; the open event entry is dropped, or queued where there is a `report` whose
    /// outcome is one that is sent. Not given back is a hit that another request has ridden on (it
    /// would have come in for nothing), of an earlier life of the token, or taken over by a sweep.
    /// A counted hit that is given back ends its window.
    async fn release(
        &self,
        reservation: Reservation,
        unsent: u64,
        report: Option<Report>,
    ) -> Result<()>;

    /// Housekeeping, in bounded steps: removes tokens past their grace, frees lapsed leases, queues
    /// or drops the open entries of dead nodes, and takes over uploads that were left finalising.
    async fn sweep(&self, lease: Duration) -> Result<Vec<UnsettledUpload>>;

    /// What whoever took over a lease has made of its upload; that it was counted is known for a day.
    async fn settlement(&self, lease: LeaseId) -> Result<Settlement>;

    /// Writes down, durably, the upload in parts that storage has begun under a lease. `commit` of a
    /// finalised upload forgets it; whatever else becomes of the lease, the hit and the token,
    /// [`abandoned_uploads`](Self::abandoned_uploads) hands it out. `Lost`: nothing was written.
    async fn record_upload(&self, lease: LeaseId, upload: MultipartUpload) -> Result<LeaseState>;

    /// Uploads in parts whose lease has ended in any other way than by `commit`: abort each in
    /// storage, then [`forget_upload`](Self::forget_upload). One that is not forgotten is handed out
    /// again after `retry`, to whoever asks. Those of an upload that was left finalising come once
    /// that is settled.
    async fn abandoned_uploads(&self, retry: Duration) -> Result<Vec<AbandonedUpload>>;

    /// Nothing is left of the upload in storage. Calling it again is harmless.
    async fn forget_upload(&self, upload: &AbandonedUpload) -> Result<()>;

    /// Writes the hits of unlimited tokens that were added up since the last call.
    async fn flush_usage(&self) -> Result<()>;

    /// The store can be reached, answers, and takes writes: one that means nothing is made durable.
    async fn ping(&self) -> Result<()>;

    /// Writes everything down; the store is not used afterwards.
    async fn close(&self) -> Result<()>;
}
