//! The port to the token store: tokens, their hits and leases.

mod filter;
pub(crate) mod layer;
mod multipart_upload;
mod reservation;

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;

pub use crate::token_record::{
    BodyTemplate, BodyType, CallbackMode, Disposition, HitOn, Method, TokenId, TokenRecord,
};
pub use filter::{Filter, TokenState};
pub use layer::TokenStoreLayer;
pub use multipart_upload::{AbandonedUpload, MultipartUpload};
pub use reservation::{
    Access, Charged, Intent, LeaseId, LeaseState, MAX_RIDDEN_WINDOWS, MAX_WINDOWS_PER_ADDRESS,
    MAX_WINDOWS_PER_TOKEN, Refusal, Reservation, ReserveRequest, Reserved, Settlement,
    UnsettledUpload,
};
pub(crate) use reservation::{Hold, Window};

use crate::error::{BackendError, ErrorKind, Result};
use crate::event::{ClaimedEvent, Report};

/// Grace period, a day: how long an expired token is still known (410) and can be revived.
pub const GRACE_SECONDS: u64 = 24 * 3600;

/// Makes a number that no other process has made: for processes, incarnations, leases and calls.
pub(crate) fn random_id() -> Result<u64> {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes)
        .map_err(|e| BackendError::with_source(ErrorKind::Upstream, "random", e))?;
    Ok(u64::from_be_bytes(bytes))
}

/// A token and its usage.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredToken {
    /// Names the token.
    pub id: TokenId,
    /// Random number that tells the token from earlier and later ones with the same id.
    pub incarnation: u64,
    /// What the token permits.
    pub record: TokenRecord,
    /// Spent hits, without leased ones.
    pub used_hits: u64,
    /// Unix seconds of the last upload through this token.
    pub uploaded_at: Option<u64>,
}

/// The answer of [`TokenStore::create`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Created {
    /// All tokens were written.
    Done,
    /// The token at this index of the input is taken, by an unexpired token or by an earlier one of
    /// the same batch. Nothing was written.
    Exists {
        /// Index in the input.
        index: usize,
    },
}

/// The changes of [`TokenStore::patch`]; an outer `None` leaves a field as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Patch {
    /// New expiry, Unix seconds.
    pub expire_at: Option<u64>,
    /// New limit; `Some(None)` = unlimited.
    pub max_hits: Option<Option<u64>>,
    /// New callback URL; `Some(None)` = none.
    pub callback: Option<Option<String>>,
    /// New metadata, replacing all of the old.
    pub metadata: Option<BTreeMap<String, String>>,
}

impl Patch {
    pub(crate) fn apply_to(self, record: &mut TokenRecord) {
        record.expire_at = self.expire_at.unwrap_or(record.expire_at);
        record.max_hits = self.max_hits.unwrap_or(record.max_hits);
        if let Some(callback) = self.callback {
            record.callback = callback;
        }
        if let Some(metadata) = self.metadata {
            record.metadata = metadata;
        }
    }
}

/// A page of a listing.
#[derive(Debug, Clone)]
pub struct Page {
    /// Tokens in the store's order.
    pub tokens: Vec<StoredToken>,
    /// Where the next page begins; `None` on the last page. Opaque, printable ASCII.
    pub cursor: Option<String>,
}

/// Tokens, hits and leases.
///
/// # Life of a hit
///
/// ```text
/// download, hit_on: start
///
///             reserve             commit
///     free ───────────► counted ──────────► spent
///       ▲                  │
///       └──────────────────┘ release
///
/// upload, and limited download with hit_on: complete
///
///           reserve          finalise (upload)             commit
///     free ─────────► leased ─────────────────► finalising ───────► spent
///      ▲                │ │                       │ │   ▲
///      │                │ └─ commit (download)    │ └───┘ lapsed: a sweep hands it out as
///      │                │    ───────► spent       │       UnsettledUpload, fencing token + 1
///      └────────────────┴─────────────────────────┘
///          release, lapsed        release
/// ```
///
/// A hit of a node that dies while it is `counted` stays spent. A `leased` one is free when its
/// lease lapses. A `finalising` one is held until recovery commits or releases it.
///
/// # Contract
///
/// - **Atomic**: each method decides and writes in one step. No interleaving admits more than
///   `max_hits` hits, spent and leased ones together.
/// - **Missing tokens** are an answer, never an error. An error means that the store is unavailable
///   or broken, and leaves open whether the call was carried out.
/// - **Clock**: the store's clock decides about expiry, leases and windows.
/// - **Durability**: see the table. "Yes" means that the result survives a crash once the method
///   returns. A Redis store is as durable as its server.
/// - **Idempotence**: see the table. Calls that take the reservation cannot be repeated.
/// - **Dropping** the future of `reserve` releases the hit. Dropping any other future leaves open
///   whether the call was carried out; callers run `commit` and `release` to completion.
///
/// | method | durable when it returns | idempotent |
/// | --- | --- | --- |
/// | `create` | yes | no: the second call answers `Exists` |
/// | `patch`, `delete`, `delete_matching` | yes | yes; `delete` answers `false` then |
/// | `reserve` | the counted hit and the open event: yes; a lease, a hit of an unlimited token: no | no: each call takes a hit |
/// | `charge` | yes | no: each call charges |
/// | `renew` | no | yes |
/// | `finalise` | yes | yes |
/// | `commit` | yes | takes the reservation |
/// | `commit_claiming` | yes, but for the claim | takes the reservation |
/// | `release` | yes | takes the reservation |
/// | `sweep` | yes | yes |
/// | `record_upload`, `forget_upload` | yes | yes |
/// | `abandoned_uploads` | no: the pause before an upload is handed out again may be lost | yes |
/// | `flush_usage`, `close` | yes | yes |
/// | `ping` | yes | yes |
/// | `get`, `list`, `settlement` | read only | yes |
#[async_trait]
pub trait TokenStore: Send + Sync {
    /// Writes all tokens or none. An expired token may be replaced; its hits, leases, charges and
    /// windows are removed.
    async fn create(&self, tokens: Vec<(TokenId, TokenRecord)>) -> Result<Created>;

    /// The token, also an expired one within its grace period.
    async fn get(&self, id: TokenId) -> Result<Option<StoredToken>>;

    /// Changes fields and returns the changed token; `None` if it does not exist.
    async fn patch(&self, id: TokenId, patch: Patch) -> Result<Option<StoredToken>>;

    /// Revokes the token: every later `reserve` is refused, and leases are lost. A hit that was
    /// counted before stays counted, and `commit` still closes its event. `false` if the token does
    /// not exist.
    async fn delete(&self, id: TokenId) -> Result<bool>;

    /// A page of up to `limit` tokens in the store's order. A page may be shorter, even empty, and
    /// have a cursor, if the filter skips many tokens. `None`: the cursor is not one of this store.
    async fn list(
        &self,
        filter: &Filter,
        limit: usize,
        cursor: Option<&str>,
    ) -> Result<Option<Page>>;

    /// Revokes all tokens that match, and returns how many. Not atomic.
    async fn delete_matching(&self, filter: &Filter) -> Result<u64>;

    /// Admits or refuses an access. Checks in this order: not found, expired, method, rules, size,
    /// hits, room in the callback queue.
    ///
    /// Then counts the hit, or leases it for an upload and for a limited token with
    /// `hit_on: complete`. With `hit_window`, a client rides on its counted hit until the window
    /// ends, also when no hit is left; a client that gets no window (see [`MAX_WINDOWS_PER_TOKEN`]
    /// and [`MAX_WINDOWS_PER_ADDRESS`]) is counted each time. The same write opens the event of a
    /// download with a callback.
    async fn reserve(&self, id: TokenId, request: &ReserveRequest<'_>) -> Result<Reserved>;

    /// Charges `bytes` against the token's budget before they are sent, for `hit_on: complete`. When
    /// a lease lapses, its charges are free again, with its hit.
    async fn charge(&self, reservation: &Reservation, bytes: u64, budget: u64) -> Result<Charged>;

    /// Holds a leased hit until `duration` from now.
    async fn renew(&self, lease: LeaseId, duration: Duration) -> Result<LeaseState>;

    /// Records that the upload is about to become visible, and renews the lease. From here on a
    /// lapsed lease is not freed but handed out by [`sweep`](Self::sweep).
    async fn finalise(
        &self,
        reservation: &Reservation,
        intent: Intent,
        lease: Duration,
    ) -> Result<LeaseState>;

    /// Spends a leased hit, and queues the event if the token has a callback and the report's
    /// outcome is one that is sent. Only an upload that was finalised sets `uploaded_at` and queues
    /// an event, with the callback and metadata that the token has now.
    ///
    /// `Lost` spends and queues nothing, and drops the open event: the lease has lapsed (also if no
    /// other access has taken the hit) or was taken over, or the token was deleted or re-created.
    async fn commit(&self, reservation: Reservation, report: Report) -> Result<LeaseState> {
        let (lease, _) = self.commit_claiming(reservation, report, None).await?;
        Ok(lease)
    }

    /// As [`commit`](Self::commit). With `claim`, returns the event that an upload queues, claimed for
    /// that long as by [`CallbackQueue::claim`](crate::callback_queue::CallbackQueue::claim); no other
    /// claim gets it before. `None` if no event was queued.
    async fn commit_claiming(
        &self,
        reservation: Reservation,
        report: Report,
        claim: Option<Duration>,
    ) -> Result<(LeaseState, Option<ClaimedEvent>)>;

    /// Frees the hit, once, and `unsent` bytes of a charge, even after the lease has lapsed. Drops
    /// the open event, or queues it if there is a `report` whose outcome is one that is sent. The
    /// window of a counted hit ends.
    ///
    /// The hit is not freed if another request has ridden on it (that request would have used no hit),
    /// if it belongs to an earlier incarnation of the token, or if a sweep has taken it over.
    async fn release(
        &self,
        reservation: Reservation,
        unsent: u64,
        report: Option<Report>,
    ) -> Result<()>;

    /// Maintenance, in bounded steps: removes tokens past their grace period and old dead letters,
    /// frees lapsed leases, queues or drops the open events of dead nodes, and takes over uploads
    /// left finalising. Each of these is handed out to one caller, with a lease of `lease`.
    async fn sweep(&self, lease: Duration) -> Result<Vec<UnsettledUpload>>;

    /// The outcome of a finalised upload whose lease was taken over. [`Settlement::Counted`] is known
    /// for a day.
    async fn settlement(&self, lease: LeaseId) -> Result<Settlement>;

    /// Records the multipart upload that storage has begun under a lease. The `commit` of a finalised
    /// upload removes the record; after any other end of the lease
    /// [`abandoned_uploads`](Self::abandoned_uploads) hands the upload out. `Lost`: nothing was
    /// written.
    async fn record_upload(&self, lease: LeaseId, upload: MultipartUpload) -> Result<LeaseState>;

    /// Multipart uploads whose lease has ended without a `commit`, and which are not left
    /// finalising. The caller aborts each in storage and then calls
    /// [`forget_upload`](Self::forget_upload); otherwise it is handed out again after `retry`.
    async fn abandoned_uploads(&self, retry: Duration) -> Result<Vec<AbandonedUpload>>;

    /// Removes the record of a multipart upload that storage no longer has.
    async fn forget_upload(&self, upload: &AbandonedUpload) -> Result<()>;

    /// Writes the hits of unlimited tokens that were added up since the last call.
    async fn flush_usage(&self) -> Result<()>;

    /// Checks that the store answers and accepts writes, with a write that has no effect.
    async fn ping(&self) -> Result<()>;

    /// Writes everything that is buffered; the store is not used afterwards.
    async fn close(&self) -> Result<()>;
}
