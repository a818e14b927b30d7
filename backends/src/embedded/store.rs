//! The token store's port: each call applies its operation, then waits until it is durable.

use std::time::Duration;

use async_trait::async_trait;

use super::kv::{Batch, Kv};
use super::{EmbeddedStore, Inner, keys};
use crate::error::{BackendError, ErrorKind, Result};
use crate::event::{ClaimedEvent, Report};
use crate::token_store::{
    AbandonedUpload, Charged, Created, Filter, Intent, LeaseId, LeaseState, MultipartUpload, Page,
    Patch, Reservation, ReserveRequest, Reserved, Settlement, StoredToken, TokenId, TokenRecord,
    TokenStore, UnsettledUpload,
};

/// Bytes that a ping writes: a block of the file system, so that a full disk shows.
const PROBE_BYTES: usize = 4096;

#[async_trait]
impl<K: Kv> TokenStore for EmbeddedStore<K> {
    async fn create(&self, tokens: Vec<(TokenId, TokenRecord)>) -> Result<Created> {
        self.0.kv.writable()?;
        let created = self.0.create(&tokens)?;
        if created == Created::Done
            && let Err(error) = self.0.kv.durable().await
        {
            // The caller hands out no token after an error, so a custom token must not stay taken.
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
        let admission = self.0.reserve(id, request)?;
        if !admission.must_be_durable {
            return Ok(admission.reserved);
        }
        let mut undo = ReleaseOnDrop {
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

    /// Not flushed to disk: a lease ends with this process anyway.
    async fn renew(&self, lease: LeaseId, duration: Duration) -> Result<LeaseState> {
        self.0.renew(lease, duration, None)
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
        let held = self.0.renew(held, lease, Some(intent))?;
        self.0.kv.durable().await?;
        Ok(held)
    }

    async fn commit_claiming(
        &self,
        reservation: Reservation,
        report: Report,
        claim: Option<Duration>,
    ) -> Result<(LeaseState, Option<ClaimedEvent>)> {
        let committed = self.0.commit(reservation, report, claim)?;
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

    /// Does nothing while the disk accepts no writes.
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

    /// Not flushed to disk: the `retry` pause ends with this process.
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

    /// Keeps adding up in memory while the disk accepts no writes.
    async fn flush_usage(&self) -> Result<()> {
        if self.0.kv.writable().is_ok() && self.blocking(Inner::flush_usage).await? {
            self.0.kv.durable().await?;
        }
        Ok(())
    }

    async fn ping(&self) -> Result<()> {
        self.0.kv.writable()?;
        let mut value = vec![0; PROBE_BYTES];
        value[..8].copy_from_slice(&self.0.clock.now_ms().to_be_bytes());
        let batch = Batch::of_put(keys::PROBE.to_vec(), value);
        self.0.kv.apply(batch)?;
        self.0.kv.durable().await
    }

    async fn close(&self) -> Result<()> {
        self.blocking(Inner::flush_usage).await?;
        self.0.kv.durable().await
    }
}

/// Releases a reserved hit when its caller is gone, or the disk fails, before the hit is durable.
struct ReleaseOnDrop<'a, K: Kv> {
    store: &'a Inner<K>,
    reserved: Option<Reserved>,
}

impl<K: Kv> Drop for ReleaseOnDrop<'_, K> {
    fn drop(&mut self) {
        if let Some(Reserved::Admitted { reservation, .. }) = self.reserved.take()
            && let Err(error) = self.store.release(&reservation, 0, None)
        {
            tracing::error!(
                exception.message = %error, token_id = %reservation.token_id(), "hit not released"
            );
        }
    }
}
