//! A token store that fails, or makes calls wait, on demand.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use asset_gateway_backends::error::Result;
use asset_gateway_backends::event::{ClaimedEvent, Report};
use asset_gateway_backends::token_store::{
    AbandonedUpload, Charged, Created, Filter, Intent, LeaseId, LeaseState, MultipartUpload, Page,
    Patch, Reservation, ReserveRequest, Reserved, Settlement, StoredToken, TokenId, TokenRecord,
    TokenStore, UnsettledUpload,
};
use asset_gateway_backends::{BackendError, ErrorKind};
use async_trait::async_trait;
use tokio::sync::Notify;

#[derive(Default)]
pub struct StoreFaults {
    /// Every call fails.
    pub away: AtomicBool,
    /// Charges wait here after they are written.
    pub charged: Gate,
    /// Releases wait here before they begin.
    pub releasing: Gate,
}

/// Lets calls pass, or makes them wait. Open at first.
#[derive(Default)]
pub struct Gate {
    is_shut: AtomicBool,
    stopped: AtomicUsize,
    opened: Notify,
}

impl Gate {
    pub fn shut(&self) {
        self.is_shut.store(true, Ordering::SeqCst);
    }

    pub fn open(&self) {
        self.is_shut.store(false, Ordering::SeqCst);
        self.opened.notify_waiters();
    }

    /// The number of calls that found the gate shut.
    pub fn stopped(&self) -> usize {
        self.stopped.load(Ordering::SeqCst)
    }

    pub async fn pass(&self) {
        let mut is_first = true;
        loop {
            let opened = self.opened.notified();
            if !self.is_shut.load(Ordering::SeqCst) {
                return;
            }
            self.stopped
                .fetch_add(usize::from(is_first), Ordering::SeqCst);
            is_first = false;
            opened.await;
        }
    }
}

pub struct FaultyStore {
    inner: Arc<dyn TokenStore>,
    faults: Arc<StoreFaults>,
}

impl FaultyStore {
    pub fn new(inner: Arc<dyn TokenStore>, faults: Arc<StoreFaults>) -> Self {
        Self { inner, faults }
    }

    fn there(&self) -> Result<&dyn TokenStore> {
        if self.faults.away.load(Ordering::SeqCst) {
            return Err(BackendError::new(ErrorKind::Unavailable, "told to"));
        }
        Ok(&*self.inner)
    }
}

#[async_trait]
impl TokenStore for FaultyStore {
    async fn create(&self, tokens: Vec<(TokenId, TokenRecord)>) -> Result<Created> {
        self.there()?.create(tokens).await
    }

    async fn get(&self, id: TokenId) -> Result<Option<StoredToken>> {
        self.there()?.get(id).await
    }

    async fn patch(&self, id: TokenId, patch: Patch) -> Result<Option<StoredToken>> {
        self.there()?.patch(id, patch).await
    }

    async fn delete(&self, id: TokenId) -> Result<bool> {
        self.there()?.delete(id).await
    }

    async fn list(
        &self,
        filter: &Filter,
        limit: usize,
        cursor: Option<&str>,
    ) -> Result<Option<Page>> {
        self.there()?.list(filter, limit, cursor).await
    }

    async fn delete_matching(&self, filter: &Filter) -> Result<u64> {
        self.there()?.delete_matching(filter).await
    }

    async fn reserve(&self, id: TokenId, request: &ReserveRequest<'_>) -> Result<Reserved> {
        self.there()?.reserve(id, request).await
    }

    async fn charge(&self, reservation: &Reservation, bytes: u64, budget: u64) -> Result<Charged> {
        let charged = self.there()?.charge(reservation, bytes, budget).await;
        self.faults.charged.pass().await;
        charged
    }

    async fn renew(&self, lease: LeaseId, duration: Duration) -> Result<LeaseState> {
        self.there()?.renew(lease, duration).await
    }

    async fn finalise(
        &self,
        reservation: &Reservation,
        intent: Intent,
        lease: Duration,
    ) -> Result<LeaseState> {
        self.there()?.finalise(reservation, intent, lease).await
    }

    async fn commit(&self, reservation: Reservation, report: Report) -> Result<LeaseState> {
        self.there()?.commit(reservation, report).await
    }

    async fn commit_claiming(
        &self,
        reservation: Reservation,
        report: Report,
        claim: Duration,
    ) -> Result<(LeaseState, Option<ClaimedEvent>)> {
        let store = self.there()?;
        store.commit_claiming(reservation, report, claim).await
    }

    async fn release(
        &self,
        reservation: Reservation,
        unsent: u64,
        report: Option<Report>,
    ) -> Result<()> {
        self.faults.releasing.pass().await;
        self.there()?.release(reservation, unsent, report).await
    }

    async fn sweep(&self, lease: Duration) -> Result<Vec<UnsettledUpload>> {
        self.there()?.sweep(lease).await
    }

    async fn settlement(&self, lease: LeaseId) -> Result<Settlement> {
        self.there()?.settlement(lease).await
    }

    async fn record_upload(&self, lease: LeaseId, upload: MultipartUpload) -> Result<LeaseState> {
        self.there()?.record_upload(lease, upload).await
    }

    async fn abandoned_uploads(&self, retry: Duration) -> Result<Vec<AbandonedUpload>> {
        self.there()?.abandoned_uploads(retry).await
    }

    async fn forget_upload(&self, upload: &AbandonedUpload) -> Result<()> {
        self.there()?.forget_upload(upload).await
    }

    async fn flush_usage(&self) -> Result<()> {
        self.there()?.flush_usage().await
    }

    async fn ping(&self) -> Result<()> {
        self.there()?.ping().await
    }

    async fn close(&self) -> Result<()> {
        self.inner.close().await
    }
}
