//! Decorators of token stores: one method around all calls.

use std::time::Duration;

use async_trait::async_trait;

use super::{
    AbandonedUpload, Charged, Created, Filter, Intent, LeaseId, LeaseState, MultipartUpload, Page,
    Patch, Reservation, ReserveRequest, Reserved, Settlement, StoredToken, TokenId, TokenRecord,
    TokenStore, UnsettledUpload,
};
use crate::error::Result;
use crate::event::{ClaimedEvent, Report};

/// A decorator of a token store. It is a [`TokenStore`] itself, which passes each call through
/// [`around`](Self::around).
pub trait TokenStoreLayer: Send + Sync {
    /// The decorated store.
    fn inner(&self) -> &dyn TokenStore;

    /// Carries out `call`, a call of the method `operation` (`commit` for `commit_claiming`, too).
    /// Dropping `call` skips it.
    fn around<T: Send>(
        &self,
        operation: &'static str,
        call: impl Future<Output = Result<T>> + Send,
    ) -> impl Future<Output = Result<T>> + Send;
}

#[async_trait]
impl<L: TokenStoreLayer> TokenStore for L {
    async fn create(&self, tokens: Vec<(TokenId, TokenRecord)>) -> Result<Created> {
        self.around("create", self.inner().create(tokens)).await
    }

    async fn get(&self, id: TokenId) -> Result<Option<StoredToken>> {
        self.around("get", self.inner().get(id)).await
    }

    async fn patch(&self, id: TokenId, patch: Patch) -> Result<Option<StoredToken>> {
        self.around("patch", self.inner().patch(id, patch)).await
    }

    async fn delete(&self, id: TokenId) -> Result<bool> {
        self.around("delete", self.inner().delete(id)).await
    }

    async fn list(
        &self,
        filter: &Filter,
        limit: usize,
        cursor: Option<&str>,
    ) -> Result<Option<Page>> {
        let call = self.inner().list(filter, limit, cursor);
        self.around("list", call).await
    }

    async fn delete_matching(&self, filter: &Filter) -> Result<u64> {
        let call = self.inner().delete_matching(filter);
        self.around("delete_matching", call).await
    }

    async fn reserve(&self, id: TokenId, request: &ReserveRequest<'_>) -> Result<Reserved> {
        self.around("reserve", self.inner().reserve(id, request))
            .await
    }

    async fn charge(&self, reservation: &Reservation, bytes: u64, budget: u64) -> Result<Charged> {
        let call = self.inner().charge(reservation, bytes, budget);
        self.around("charge", call).await
    }

    async fn renew(&self, lease: LeaseId, duration: Duration) -> Result<LeaseState> {
        self.around("renew", self.inner().renew(lease, duration))
            .await
    }

    async fn finalise(
        &self,
        reservation: &Reservation,
        intent: Intent,
        lease: Duration,
    ) -> Result<LeaseState> {
        let call = self.inner().finalise(reservation, intent, lease);
        self.around("finalise", call).await
    }

    async fn commit(&self, reservation: Reservation, report: Report) -> Result<LeaseState> {
        self.around("commit", self.inner().commit(reservation, report))
            .await
    }

    async fn commit_claiming(
        &self,
        reservation: Reservation,
        report: Report,
        claim: Duration,
    ) -> Result<(LeaseState, Option<ClaimedEvent>)> {
        let call = self.inner().commit_claiming(reservation, report, claim);
        self.around("commit", call).await
    }

    async fn release(
        &self,
        reservation: Reservation,
        unsent: u64,
        report: Option<Report>,
    ) -> Result<()> {
        let call = self.inner().release(reservation, unsent, report);
        self.around("release", call).await
    }

    async fn sweep(&self, lease: Duration) -> Result<Vec<UnsettledUpload>> {
        self.around("sweep", self.inner().sweep(lease)).await
    }

    async fn settlement(&self, lease: LeaseId) -> Result<Settlement> {
        self.around("settlement", self.inner().settlement(lease))
            .await
    }

    async fn record_upload(&self, lease: LeaseId, upload: MultipartUpload) -> Result<LeaseState> {
        let call = self.inner().record_upload(lease, upload);
        self.around("record_upload", call).await
    }

    async fn abandoned_uploads(&self, retry: Duration) -> Result<Vec<AbandonedUpload>> {
        let call = self.inner().abandoned_uploads(retry);
        self.around("abandoned_uploads", call).await
    }

    async fn forget_upload(&self, upload: &AbandonedUpload) -> Result<()> {
        self.around("forget_upload", self.inner().forget_upload(upload))
            .await
    }

    async fn flush_usage(&self) -> Result<()> {
        self.around("flush_usage", self.inner().flush_usage()).await
    }

    async fn ping(&self) -> Result<()> {
        self.around("ping", self.inner().ping()).await
    }

    async fn close(&self) -> Result<()> {
        self.around("close", self.inner().close()).await
    }
}
