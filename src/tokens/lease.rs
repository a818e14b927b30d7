//! Holding a leased hit for as long as bytes move.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use asset_gateway_backends::token_store::{Lease, LeaseId, Reservation, TokenStore};
use tokio::task::AbortHandle;

/// How long a lease lasts without renewal: what a client waits for the hits of a node that died.
pub const LEASE: Duration = Duration::from_secs(60);
/// Two renewals may fail before the lease lapses.
const RENEW_EVERY: Duration = Duration::from_secs(20);

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
    let mut renewed = tokio::time::Instant::now();
    loop {
        tokio::time::sleep(RENEW_EVERY).await;
        match store.renew(lease, LEASE).await {
            Ok(Lease::Held) => renewed = tokio::time::Instant::now(),
            Ok(Lease::Lost) => break,
            Err(error) => {
                tracing::warn!(%error, token_id = %lease.token_id(), "lease not renewed");
                if renewed.elapsed() >= LEASE {
                    break;
                }
            }
        }
    }
    lost.store(true, Ordering::Release);
}
