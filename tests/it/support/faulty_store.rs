//! A token store that fails, or makes calls wait, on demand.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use asset_gateway_backends::error::Result;
use asset_gateway_backends::token_store::{TokenStore, TokenStoreLayer};
use asset_gateway_backends::{BackendError, ErrorKind};
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
}

impl TokenStoreLayer for FaultyStore {
    fn inner(&self) -> &dyn TokenStore {
        &*self.inner
    }

    async fn around<T: Send>(
        &self,
        operation: &'static str,
        call: impl Future<Output = Result<T>> + Send,
    ) -> Result<T> {
        if operation == "release" {
            self.faults.releasing.pass().await;
        }
        if operation != "close" && self.faults.away.load(Ordering::SeqCst) {
            return Err(BackendError::new(ErrorKind::Unavailable, "told to"));
        }
        let answer = call.await;
        if operation == "charge" {
            self.faults.charged.pass().await;
        }
        answer
    }
}
