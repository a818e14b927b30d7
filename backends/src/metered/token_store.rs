use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use metrics::Histogram;
use std::sync::OnceLock;

use super::{TOKEN_STORE_SECONDS, outcome, seconds};
use crate::error::Result;
use crate::event::{ClaimedEvent, Report};
use crate::token_store::{
    AbandonedUpload, Charged, Created, Filter, Intent, LeaseId, LeaseState, MultipartUpload, Page,
    Patch, Reservation, ReserveRequest, Reserved, Settlement, StoredToken, TokenId, TokenRecord,
    TokenStore, UnsettledUpload,
};

/// Times a token store's operations.
pub struct MeteredStore {
    inner: Arc<dyn TokenStore>,
    /// Successful reservations are on the way of every download.
    reserved: OnceLock<Histogram>,
}

impl MeteredStore {
    pub fn new(inner: Arc<dyn TokenStore>) -> Self {
        Self {
            inner,
            reserved: OnceLock::new(),
        }
    }
}

fn histogram(operation: &'static str, outcome: &'static str) -> Histogram {
    metrics::histogram!(TOKEN_STORE_SECONDS, "operation" => operation, "outcome" => outcome)
}

async fn timed<T>(
    operation: &'static str,
    work: impl Future<Output = Result<T>> + Send,
) -> Result<T> {
    let began = Instant::now();
    let result = work.await;
    histogram(operation, outcome(&result)).record(seconds(began));
    result
}

#[async_trait]
impl TokenStore for MeteredStore {
    async fn create(&self, tokens: Vec<(TokenId, TokenRecord)>) -> Result<Created> {
        timed("create", self.inner.create(tokens)).await
    }

    async fn get(&self, id: TokenId) -> Result<Option<StoredToken>> {
        timed("get", self.inner.get(id)).await
    }

    async fn patch(&self, id: TokenId, patch: Patch) -> Result<Option<StoredToken>> {
        timed("patch", self.inner.patch(id, patch)).await
    }

    async fn delete(&self, id: TokenId) -> Result<bool> {
        timed("delete", self.inner.delete(id)).await
    }

    async fn list(
        &self,
        filter: &Filter,
        limit: usize,
        cursor: Option<&str>,
    ) -> Result<Option<Page>> {
        timed("list", self.inner.list(filter, limit, cursor)).await
    }

    async fn delete_matching(&self, filter: &Filter) -> Result<u64> {
        timed("delete_matching", self.inner.delete_matching(filter)).await
    }

    async fn reserve(&self, id: TokenId, request: &ReserveRequest<'_>) -> Result<Reserved> {
        let began = Instant::now();
        let result = self.inner.reserve(id, request).await;
        match &result {
            Ok(_) => self
                .reserved
                .get_or_init(|| histogram("reserve", "ok"))
                .record(seconds(began)),
            Err(_) => histogram("reserve", outcome(&result)).record(seconds(began)),
        }
        result
    }

    async fn charge(&self, reservation: &Reservation, bytes: u64, budget: u64) -> Result<Charged> {
        timed("charge", self.inner.charge(reservation, bytes, budget)).await
    }

    async fn renew(&self, lease: LeaseId, duration: Duration) -> Result<LeaseState> {
        timed("renew", self.inner.renew(lease, duration)).await
    }

    async fn finalise(
        &self,
        reservation: &Reservation,
        intent: Intent,
        lease: Duration,
    ) -> Result<LeaseState> {
        timed("finalise", self.inner.finalise(reservation, intent, lease)).await
    }

    async fn commit(&self, reservation: Reservation, report: Report) -> Result<LeaseState> {
        timed("commit", self.inner.commit(reservation, report)).await
    }

    async fn commit_claiming(
        &self,
        reservation: Reservation,
        report: Report,
        claim: Duration,
    ) -> Result<(LeaseState, Option<ClaimedEvent>)> {
        let committing = self.inner.commit_claiming(reservation, report, claim);
        timed("commit", committing).await
    }

    async fn release(
        &self,
        reservation: Reservation,
        unsent: u64,
        report: Option<Report>,
    ) -> Result<()> {
        timed("release", self.inner.release(reservation, unsent, report)).await
    }

    async fn sweep(&self, lease: Duration) -> Result<Vec<UnsettledUpload>> {
        timed("sweep", self.inner.sweep(lease)).await
    }

    async fn settlement(&self, lease: LeaseId) -> Result<Settlement> {
        timed("settlement", self.inner.settlement(lease)).await
    }

    async fn record_upload(&self, lease: LeaseId, upload: MultipartUpload) -> Result<LeaseState> {
        timed("record_upload", self.inner.record_upload(lease, upload)).await
    }

    async fn abandoned_uploads(&self, retry: Duration) -> Result<Vec<AbandonedUpload>> {
        timed("abandoned_uploads", self.inner.abandoned_uploads(retry)).await
    }

    async fn forget_upload(&self, upload: &AbandonedUpload) -> Result<()> {
        timed("forget_upload", self.inner.forget_upload(upload)).await
    }

    async fn flush_usage(&self) -> Result<()> {
        timed("flush_usage", self.inner.flush_usage()).await
    }

    async fn ping(&self) -> Result<()> {
        self.inner.ping().await
    }

    async fn close(&self) -> Result<()> {
        self.inner.close().await
    }
}
