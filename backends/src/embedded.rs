//! The embedded store: tokens, leases and callback events in one ordered key-value tree.
//!
//! The rules of both ports are written once, over [`kv::Kv`]; [`kv::Kv`] is sled on disk or a map
//! in memory. One process owns the tree, so a lease of another *owner* (an earlier process) has
//! lapsed whatever its deadline says.
//!
//! Each operation on a token takes that token's stripe, reads, decides and applies one atomic
//! batch; then, outside the stripe, it waits until the batch is on disk together with everybody
//! else's (group commit). Nothing waits for a disk while it holds a stripe.
//!
//! While the disk takes no writes, what would begin something new is refused before it is applied.
//! What ends something (a release, a commit, a revocation) is applied, so that everybody sees it,
//! and is on disk when the disk takes writes again; its caller hears an error.

mod admit;
mod control;
mod keys;
pub mod kv;
mod listing;
pub mod offline;
mod queue;
mod settle;
mod sweep;
#[cfg(test)]
mod tests;
mod uploads;
mod usage;
mod values;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::{Mutex, MutexGuard};
use tokio::sync::Notify;

use crate::callback_queue::RecentEvents;
use crate::clock::Clock;
use crate::error::{BackendError, ErrorKind, Result};
use crate::event::{ClaimedEvent, EventId, Report};
use crate::settings::QueueLimits;
use crate::token_store::{
    AbandonedUpload, Charged, Created, Filter, Intent, LeaseId, LeaseState, MultipartUpload, Page,
    Patch, Reservation, ReserveRequest, Reserved, Settlement, StoredToken, TokenId, TokenRecord,
    TokenStore, UnsettledUpload,
};
use kv::{Batch, Kv};
use usage::Usage;
use values::{State, TokenValue};

/// Enough that two busy tokens seldom meet, few enough to be cheap. Whoever holds several has taken
/// them in order; a stripe comes before the claims of the queue.
const STRIPES: usize = 256;
/// More than a block of the file system: the disk has to find room for it.
const PROBE_BYTES: usize = 4096;

/// A token store and callback queue over `K`. Clones share one store.
pub struct EmbeddedStore<K>(Arc<Inner<K>>);

impl<K> Clone for EmbeddedStore<K> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

struct Inner<K> {
    kv: K,
    clock: Arc<dyn Clock>,
    limits: QueueLimits,
    /// This process' life; leases and open entries of others are of the dead.
    owner: u64,
    stripes: Box<[Mutex<Usage>]>,
    /// Open entries of earlier processes have been looked after.
    recovered: AtomicBool,
    pending: AtomicU64,
    dead: AtomicU64,
    /// Events being delivered, and until when (Unix ms) they are claimed.
    claims: Mutex<HashMap<EventId, u64>>,
    fresh: RecentEvents,
    queue_changed: Notify,
}

impl<K: Kv> EmbeddedStore<K> {
    /// # Errors
    /// `Unavailable` where an import into the store has not ended.
    pub fn new(kv: K, clock: Arc<dyn Clock>, limits: QueueLimits) -> Result<Self> {
        offline::refuse_half_imported(&kv)?;
        let pending = kv.count(keys::EVENTS)?;
        let dead = kv.count(keys::DEAD)?;
        Ok(Self(Arc::new(Inner {
            kv,
            clock,
            limits,
            owner: fresh_id()?,
            stripes: (0..STRIPES).map(|_| Mutex::default()).collect(),
            recovered: AtomicBool::new(false),
            pending: AtomicU64::new(pending),
            dead: AtomicU64::new(dead),
            claims: Mutex::default(),
            fresh: RecentEvents::default(),
            queue_changed: Notify::new(),
        })))
    }

    /// Runs a scan of unknown length away from the async threads.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Inner<K>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let inner = Arc::clone(&self.0);
        tokio::task::spawn_blocking(move || work(&inner))
            .await
            .map_err(|e| BackendError::with_source(ErrorKind::Upstream, "embedded.blocking", e))?
    }
}

impl<K: Kv> Inner<K> {
    fn stripe(&self, id: TokenId) -> MutexGuard<'_, Usage> {
        self.stripes[stripe_of(id)].lock()
    }

    /// The token, unless it is past its day of grace.
    fn token(&self, id: TokenId, now: u64) -> Result<Option<TokenValue>> {
        let Some(bytes) = self.kv.get(&keys::token(id))? else {
            return Ok(None);
        };
        let token: TokenValue = values::decode(&bytes)?;
        Ok((!token.is_gone(now)).then_some(token))
    }

    fn state(&self, id: TokenId) -> Result<State> {
        match self.kv.get(&keys::state(id))? {
            Some(bytes) => values::decode(&bytes),
            None => Ok(State::default()),
        }
    }

    fn reports(&self, report: &Report) -> bool {
        self.limits.report_incomplete || report.outcome == crate::event::Outcome::Complete
    }

    fn queue_is_full(&self) -> bool {
        self.pending.load(Ordering::Relaxed) >= self.limits.max_pending
    }
}

fn stripe_of(id: TokenId) -> usize {
    usize::from(id.0[0]) % STRIPES
}

/// An id that no other process has made.
fn fresh_id() -> Result<u64> {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes)
        .map_err(|e| BackendError::with_source(ErrorKind::Upstream, "random", e))?;
    Ok(u64::from_be_bytes(bytes))
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[async_trait]
impl<K: Kv> TokenStore for EmbeddedStore<K> {
    async fn create(&self, tokens: Vec<(TokenId, TokenRecord)>) -> Result<Created> {
        self.0.kv.writable()?;
        let created = self.0.create(&tokens)?;
        if created == Created::Done
            && let Err(error) = self.0.kv.durable().await
        {
            // Nobody gets them: a custom one must not be taken for that.
            for (id, _) in &tokens {
                self.0.delete(*id)?;
            }
            return Err(error);
        }
        Ok(created)
    }

    async fn get(&self, id: TokenId) -> Result<Option<StoredToken>> {
        self.0.get(id)
    }

    async fn patch(&self, id: TokenId, patch: Patch) -> Result<Option<StoredToken>> {
        self.0.kv.writable()?;
        let patched = self.0.patch(id, patch)?;
        self.0.kv.durable().await?;
        Ok(patched)
    }

    async fn delete(&self, id: TokenId) -> Result<bool> {
        let deleted = self.0.delete(id)?;
        self.0.kv.durable().await?;
        Ok(deleted)
    }

    async fn list(
        &self,
        filter: &Filter,
        limit: usize,
        cursor: Option<&str>,
    ) -> Result<Option<Page>> {
        let (filter, cursor) = (filter.clone(), cursor.map(str::to_owned));
        self.blocking(move |inner| inner.list(&filter, limit, cursor.as_deref()))
            .await
    }

    async fn delete_matching(&self, filter: &Filter) -> Result<u64> {
        let filter = filter.clone();
        let deleted = self
            .blocking(move |inner| inner.delete_matching(&filter))
            .await?;
        self.0.kv.durable().await?;
        Ok(deleted)
    }

    async fn reserve(&self, id: TokenId, request: &ReserveRequest<'_>) -> Result<Reserved> {
        let admission = self.0.admit(id, request)?;
        if !admission.must_last {
            return Ok(admission.reserved);
        }
        let mut undo = GiveBack {
            store: &self.0,
            reserved: Some(admission.reserved),
        };
        self.0.kv.durable().await?;
        undo.reserved
            .take()
            .ok_or(BackendError::new(ErrorKind::Corrupt, "reserve"))
    }

    async fn charge(&self, reservation: &Reservation, bytes: u64, budget: u64) -> Result<Charged> {
        self.0.kv.writable()?;
        let charged = self.0.charge(reservation, bytes, budget)?;
        if charged == Charged::Done {
            self.0.kv.durable().await?;
        }
        Ok(charged)
    }

    /// Not flushed: leases do not outlive this process anyway.
    async fn renew(&self, lease: LeaseId, duration: Duration) -> Result<LeaseState> {
        self.0.extend(lease, duration, None)
    }

    async fn finalise(
        &self,
        reservation: &Reservation,
        intent: Intent,
        lease: Duration,
    ) -> Result<LeaseState> {
        let Some(held) = reservation.lease() else {
            return Ok(LeaseState::Held);
        };
        self.0.kv.writable()?;
        let held = self.0.extend(held, lease, Some(intent))?;
        self.0.kv.durable().await?;
        Ok(held)
    }

    async fn commit(&self, reservation: Reservation, report: Report) -> Result<LeaseState> {
        let (lease, _) = self.0.commit(reservation, report, None)?;
        self.0.kv.durable().await?;
        Ok(lease)
    }

    async fn commit_claiming(
        &self,
        reservation: Reservation,
        report: Report,
        claim: Duration,
    ) -> Result<(LeaseState, Option<ClaimedEvent>)> {
        let committed = self.0.commit(reservation, report, Some(claim))?;
        self.0.kv.durable().await?;
        Ok(committed)
    }

    async fn release(
        &self,
        reservation: Reservation,
        unsent: u64,
        report: Option<Report>,
    ) -> Result<()> {
        if self.0.release(&reservation, unsent, report)? {
            self.0.kv.durable().await?;
        }
        Ok(())
    }

    /// Rests while the disk takes no writes.
    async fn sweep(&self, lease: Duration) -> Result<Vec<UnsettledUpload>> {
        if self.0.kv.writable().is_err() {
            return Ok(Vec::new());
        }
        let unsettled = self.blocking(move |inner| inner.sweep(lease)).await?;
        self.0.kv.durable().await?;
        Ok(unsettled)
    }

    async fn settlement(&self, lease: LeaseId) -> Result<Settlement> {
        self.0.settlement(lease)
    }

    async fn record_upload(&self, lease: LeaseId, upload: MultipartUpload) -> Result<LeaseState> {
        self.0.kv.writable()?;
        let held = self.0.record_upload(lease, upload)?;
        self.0.kv.durable().await?;
        Ok(held)
    }

    /// Not flushed: that somebody tries is forgotten with the process.
    async fn abandoned_uploads(&self, retry: Duration) -> Result<Vec<AbandonedUpload>> {
        if self.0.kv.writable().is_err() {
            return Ok(Vec::new());
        }
        self.blocking(move |inner| inner.abandoned_uploads(retry))
            .await
    }

    async fn forget_upload(&self, upload: &AbandonedUpload) -> Result<()> {
        self.0.forget_upload(upload)?;
        self.0.kv.durable().await
    }

    /// While the disk takes no writes they are added up further.
    async fn flush_usage(&self) -> Result<()> {
        if self.0.kv.writable().is_ok() && self.blocking(Inner::flush_usage).await? {
            self.0.kv.durable().await?;
        }
        Ok(())
    }

    async fn ping(&self) -> Result<()> {
        self.0.kv.writable()?;
        let mut batch = Batch::default();
        let mut value = vec![0; PROBE_BYTES];
        value[..8].copy_from_slice(&self.0.clock.now_ms().to_be_bytes());
        batch.put(keys::PROBE.to_vec(), value);
        self.0.kv.apply(batch)?;
        self.0.kv.durable().await
    }

    async fn close(&self) -> Result<()> {
        self.blocking(Inner::flush_usage).await?;
        self.0.kv.durable().await
    }
}

/// Gives an admitted hit back where the caller went away, or the disk failed, before it was durable.
struct GiveBack<'a, K: Kv> {
    store: &'a Inner<K>,
    reserved: Option<Reserved>,
}

impl<K: Kv> Drop for GiveBack<'_, K> {
    fn drop(&mut self) {
        if let Some(Reserved::Admitted { reservation, .. }) = self.reserved.take()
            && let Err(error) = self.store.release(&reservation, 0, None)
        {
            tracing::error!(%error, token_id = %reservation.token_id(), "hit not given back");
        }
    }
}

/// Adds the removal of everything that is kept of a token to `batch`.
fn forget<K: Kv>(kv: &K, id: TokenId, record: &TokenRecord, batch: &mut Batch) -> Result<()> {
    batch.remove(keys::token(id));
    batch.remove(keys::state(id));
    batch.remove(keys::expiry(record.expire_at, id));
    batch.remove(keys::by_object(&record.bucket, &record.key, id));
    for tag in &record.tags {
        batch.remove(keys::by_tag(tag, id));
    }
    for prefix in [keys::leases(id), keys::windows(id), keys::counted_of(id)] {
        kv.scan(&prefix, None, &mut |key, _| {
            batch.remove(key.to_vec());
            Ok(true)
        })?;
    }
    Ok(())
}
