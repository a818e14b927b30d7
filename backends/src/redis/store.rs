//! The token store: one file for each operation.
//!
//! - `reserve`, `lease`, `commit_or_release`: an access from its admission to its end.
//! - `retry_queue`: commits, releases and undos that Redis has not answered.
//! - `usage_buffer`: hits of unlimited tokens, written in batches.
//! - `create`, `get_patch_delete`, `listing`: the control plane.
//! - `multipart_uploads`: multipart uploads that may have to be aborted in storage.

mod commit_or_release;
pub mod create;
mod get_patch_delete;
mod lease;
mod listing;
mod multipart_uploads;
mod reserve;
pub mod retry_queue;
pub mod usage_buffer;

use std::time::Duration;

use async_trait::async_trait;

use super::RedisStore;
use crate::error::Result;
use crate::event::{ClaimedEvent, Report};
use crate::token_store::{
    AbandonedUpload, Charged, Created, Filter, Intent, LeaseId, LeaseState, MultipartUpload, Page,
    Patch, Reservation, ReserveRequest, Reserved, Settlement, StoredToken, TokenId, TokenRecord,
    TokenStore, UnsettledUpload,
};

#[async_trait]
impl TokenStore for RedisStore {
    async fn create(&self, tokens: Vec<(TokenId, TokenRecord)>) -> Result<Created> {
        self.0.create(&tokens).await
    }

    async fn get(&self, id: TokenId) -> Result<Option<StoredToken>> {
        self.0.get(id).await
    }

    async fn patch(&self, id: TokenId, patch: Patch) -> Result<Option<StoredToken>> {
        self.0.patch(id, &patch).await
    }

    async fn delete(&self, id: TokenId) -> Result<bool> {
        self.0.delete(id, None).await
    }

    async fn list(
        &self,
        filter: &Filter,
        limit: usize,
        cursor: Option<&str>,
    ) -> Result<Option<Page>> {
        self.0.list(filter, limit, cursor).await
    }

    async fn delete_matching(&self, filter: &Filter) -> Result<u64> {
        self.0.delete_matching(filter).await
    }

    async fn reserve(&self, id: TokenId, request: &ReserveRequest<'_>) -> Result<Reserved> {
        self.0.reserve(id, request).await
    }

    async fn charge(&self, reservation: &Reservation, bytes: u64, budget: u64) -> Result<Charged> {
        self.0.charge(reservation, bytes, budget).await
    }

    async fn renew(&self, lease: LeaseId, duration: Duration) -> Result<LeaseState> {
        self.0.renew(lease, duration, None).await
    }

    async fn finalise(
        &self,
        reservation: &Reservation,
        intent: Intent,
        lease: Duration,
    ) -> Result<LeaseState> {
        match reservation.lease() {
            Some(id) => self.0.renew(id, lease, Some(intent)).await,
            None => Ok(LeaseState::Held),
        }
    }

    async fn commit(&self, reservation: Reservation, report: Report) -> Result<LeaseState> {
        let (lease, _) = self.0.commit(reservation, report, None).await?;
        Ok(lease)
    }

    async fn commit_claiming(
        &self,
        reservation: Reservation,
        report: Report,
        claim: Duration,
    ) -> Result<(LeaseState, Option<ClaimedEvent>)> {
        self.0.commit(reservation, report, Some(claim)).await
    }

    async fn release(
        &self,
        reservation: Reservation,
        unsent: u64,
        report: Option<Report>,
    ) -> Result<()> {
        self.0.release(&reservation, unsent, report).await
    }

    async fn sweep(&self, lease: Duration) -> Result<Vec<UnsettledUpload>> {
        self.0.sweep(lease).await
    }

    async fn settlement(&self, lease: LeaseId) -> Result<Settlement> {
        self.0.settlement(lease).await
    }

    async fn record_upload(&self, lease: LeaseId, upload: MultipartUpload) -> Result<LeaseState> {
        self.0.record_upload(lease, &upload).await
    }

    async fn abandoned_uploads(&self, retry: Duration) -> Result<Vec<AbandonedUpload>> {
        self.0.abandoned_uploads(retry).await
    }

    async fn forget_upload(&self, upload: &AbandonedUpload) -> Result<()> {
        self.0.forget_upload(upload).await
    }

    async fn flush_usage(&self) -> Result<()> {
        self.0.flush_usage().await
    }

    async fn ping(&self) -> Result<()> {
        self.0.connection.ping().await
    }

    /// Only hits of unlimited tokens and the retry queue are not written yet.
    async fn close(&self) -> Result<()> {
        self.0.drain_retry_queue().await;
        self.0.flush_usage().await?;
        self.0.sign_off().await
    }
}
