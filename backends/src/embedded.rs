//! The embedded store: tokens, hits, leases, callback events in one tree; usage buffer of unlimited tokens.
//!
//! Both ports are implemented once, over [`kv::Kv`]: sled on disk, or a map in memory. One process
//! owns the tree; a lease of another *owner* (an earlier process) has lapsed whatever its deadline.
//!
//! Each operation on a token locks that token's stripe, reads, decides and applies one atomic batch.
//! It releases the stripe and then waits until the batch is durable, with all other waiters (group
//! commit). Nothing waits for a disk while it holds a stripe.
//!
//! While the disk accepts no writes, operations that start something new are refused before they are
//! applied. Operations that end something (release, commit, revocation) are applied, visible at once,
//! and become durable when the disk accepts writes again; their caller gets an error.

mod commit_or_release;
mod create_patch_delete;
mod keys;
pub mod kv;
mod lease;
mod listing;
mod multipart_uploads;
pub mod offline;
mod queue;
mod reserve;
mod store;
mod sweep;
#[cfg(test)]
mod tests;
mod values;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::{Mutex, MutexGuard};
use tokio::sync::Notify;

use crate::callback_queue::RecentEvents;
use crate::clock::{Clock, millis};
use crate::error::{BackendError, ErrorKind, Result};
use crate::event::{EventId, Outcome, Report};
use crate::settings::QueueLimits;
use crate::token_store::{TokenId, TokenRecord, random_id};
use kv::{Batch, Kv};
use values::{State, TokenValue};

/// Locks that all tokens share. An operation that holds several has taken them in ascending order; a
/// stripe is locked before the claims of the queue.
const STRIPES: usize = 256;

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
    /// Random id of this process. Leases and open events of other owners belong to dead processes.
    owner: u64,
    stripes: Box<[Mutex<UsageBuffer>]>,
    /// Whether the open events of earlier processes have been closed.
    recovered: AtomicBool,
    pending: AtomicU64,
    dead: AtomicU64,
    /// Claimed events, and until when (Unix milliseconds).
    claims: Mutex<HashMap<EventId, u64>>,
    recent_events: RecentEvents,
    queue_changed: Notify,
}

/// Write-behind buffer: the unwritten hits of one stripe's unlimited tokens, inside the stripe's lock.
#[derive(Debug, Default)]
pub struct UsageBuffer(HashMap<TokenId, i64>);

impl UsageBuffer {
    pub fn add(&mut self, id: TokenId, hits: i64) {
        *self.0.entry(id).or_default() += hits;
    }

    pub fn of(&self, id: TokenId) -> i64 {
        self.0.get(&id).copied().unwrap_or_default()
    }

    /// Drops the hits of a token that was deleted or re-created.
    pub fn forget(&mut self, id: TokenId) {
        self.0.remove(&id);
    }
}

impl<K: Kv> EmbeddedStore<K> {
    /// Opens the store.
    ///
    /// # Errors
    /// `Unavailable` while an import into the store is unfinished.
    pub fn new(kv: K, clock: Arc<dyn Clock>, limits: QueueLimits) -> Result<Self> {
        offline::refuse_unfinished_import(&kv)?;
        let pending = kv.count(keys::EVENTS)?;
        let dead = kv.count(keys::DEAD)?;
        Ok(Self(Arc::new(Inner {
            kv,
            clock,
            limits,
            owner: random_id()?,
            stripes: (0..STRIPES).map(|_| Mutex::default()).collect(),
            recovered: AtomicBool::new(false),
            pending: AtomicU64::new(pending),
            dead: AtomicU64::new(dead),
            claims: Mutex::default(),
            recent_events: RecentEvents::default(),
            queue_changed: Notify::new(),
        })))
    }

    /// Runs a scan of unbounded length on the blocking thread pool.
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
    fn stripe(&self, id: TokenId) -> MutexGuard<'_, UsageBuffer> {
        self.stripes[stripe_of(id)].lock()
    }

    /// The token, unless its grace period is over.
    fn token(&self, id: TokenId, now: u64) -> Result<Option<TokenValue>> {
        let token: Option<TokenValue> = values::read(&self.kv, &keys::token(id))?;
        Ok(token.filter(|token| !token.is_gone(now)))
    }

    fn state(&self, id: TokenId) -> Result<State> {
        Ok(values::read(&self.kv, &keys::state(id))?.unwrap_or_default())
    }

    /// Writes all buffered hits, and returns whether there were any.
    pub fn flush_usage(&self) -> Result<bool> {
        let mut written = false;
        for stripe in &self.stripes {
            let mut usage = stripe.lock();
            let mut batch = Batch::default();
            for (&id, &hits) in usage.0.iter().filter(|(_, hits)| **hits != 0) {
                let mut state = self.state(id)?;
                state.used = state.used.saturating_add_signed(hits);
                batch.put(keys::state(id), values::encode(&state)?);
            }
            if !batch.is_empty() {
                self.kv.apply(batch)?;
                written = true;
            }
            usage.0.clear();
        }
        Ok(written)
    }
    /// Whether an access with this outcome is reported.
    fn reports(&self, report: &Report) -> bool {
        self.limits.report_incomplete || report.outcome == Outcome::Complete
    }

    fn queue_is_full(&self) -> bool {
        self.pending.load(Ordering::Relaxed) >= self.limits.max_pending
    }
}

fn stripe_of(id: TokenId) -> usize {
    usize::from(id.0[0]) % STRIPES
}

/// Adds the removal of a token, its index entries, leases and windows to `batch`.
fn remove_token<K: Kv>(kv: &K, id: TokenId, record: &TokenRecord, batch: &mut Batch) -> Result<()> {
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
