//! Holding a leased hit for as long as bytes move.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use asset_gateway_backends::token_store::{Lease, LeaseId, Reservation, TokenStore};
use tokio::task::AbortHandle;
use tokio::time::{Instant, timeout};

/// How long a lease lasts without renewal: what a client waits for the hits of a node that died.
pub const LEASE: Duration = Duration::from_secs(60);
const RENEW_EVERY: Duration = Duration::from_secs(20);
/// After a renewal that failed.
const TRY_AGAIN: Duration = Duration::from_secs(5);
/// So long before its end a lease that cannot be renewed counts as lost: what runs on it has to end
/// before the store gives its hit to somebody else.
const MARGIN: Duration = Duration::from_secs(5);

/// Renews a reservation in the background until it is dropped.
pub struct LeaseKeeper {
    lost: Arc<AtomicBool>,
    task: AbortHandle,
}

impl LeaseKeeper {
    /// `None` where there is nothing to renew.
    pub fn start(store: Arc<dyn TokenStore>, reservation: &Reservation) -> Option<Self> {
        let lease = reservation.lease()?;
        let lost = Arc::new(AtomicBool::new(false));
        let task = tokio::spawn(keep(store, lease, Arc::clone(&lost))).abort_handle();
        Some(Self { lost, task })
    }

    /// The lease has lapsed or the token is gone: stop, nothing may be finished any more.
    pub fn is_lost(&self) -> bool {
        self.lost.load(Ordering::Acquire)
    }
}

impl Drop for LeaseKeeper {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn keep(store: Arc<dyn TokenStore>, lease: LeaseId, lost: Arc<AtomicBool>) {
    let mut renewed = Instant::now();
    let mut pause = RENEW_EVERY;
    loop {
        tokio::time::sleep(pause).await;
        let began = Instant::now();
        let left = (LEASE - MARGIN).saturating_sub(renewed.elapsed());
        if left.is_zero() {
            break;
        }
        // A store that does not answer must not make it late.
        match timeout(left, store.renew(lease, LEASE)).await {
            Ok(Ok(Lease::Held)) => {
                renewed = began;
                pause = RENEW_EVERY;
            }
            Ok(Ok(Lease::Lost)) | Err(_) => break,
            Ok(Err(error)) => {
                tracing::warn!(%error, token_id = %lease.token_id(), "lease not renewed");
                pause = TRY_AGAIN.min((LEASE - MARGIN).saturating_sub(renewed.elapsed()));
            }
        }
    }
    lost.store(true, Ordering::Release);
}
