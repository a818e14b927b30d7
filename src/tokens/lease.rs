//! Leases of hits: when one is over, its renewal while bytes move, and why it was lost.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use asset_gateway_backends::BackendError;
use asset_gateway_backends::clock::{Clock, Moment};
use asset_gateway_backends::object_backend::Fence;
use asset_gateway_backends::token_store::{LeaseId, LeaseState, Reservation, TokenId, TokenStore};
use parking_lot::Mutex;
use tokio::task::AbortHandle;
use tokio::time::timeout;

/// How long a lease lasts without renewal, and clients wait for the hits of a node that died: 60 s.
///
/// Debug builds take a number of seconds from `ASSET_GATEWAY_TEST_LEASE_SECONDS`, so that tests of whole
/// processes need not wait for a minute. The other times of a lease are fractions of this one.
pub fn lease_duration() -> Duration {
    static SHORTENED: LazyLock<Option<u64>> = LazyLock::new(|| {
        let seconds = std::env::var("ASSET_GATEWAY_TEST_LEASE_SECONDS").ok()?;
        seconds.parse().ok().filter(|_| cfg!(debug_assertions))
    });
    Duration::from_secs(SHORTENED.unwrap_or(60))
}

/// Pause between two renewals: 20 s.
pub fn renewal_interval() -> Duration {
    lease_duration() / 3
}

/// Pause after a failed renewal: 5 s.
fn renewal_retry_delay() -> Duration {
    lease_duration() / 12
}

/// How long before its end a lease that is not renewed counts as lost, so that its transfer ends before the
/// store gives the hit to another access: 5 s.
fn expiry_margin() -> Duration {
    lease_duration() / 12
}

/// Until when a lease belongs to its holder.
///
/// The clock decides, not the task that renews: a process that was stopped finds its leases over as soon
/// as it looks.
#[derive(Debug)]
pub struct LeaseDeadline {
    clock: Arc<dyn Clock>,
    /// When the last renewal was requested.
    renewed_at: Mutex<Moment>,
    /// The store has refused a renewal.
    lost: AtomicBool,
}

impl LeaseDeadline {
    /// The deadline of a lease that was requested at `requested_at`.
    fn new(clock: Arc<dyn Clock>, requested_at: Moment) -> Self {
        Self {
            clock,
            renewed_at: Mutex::new(requested_at),
            lost: AtomicBool::new(false),
        }
    }

    /// Moves the deadline after a renewal that was requested at `requested_at`.
    pub fn renewed(&self, requested_at: Moment) {
        *self.renewed_at.lock() = requested_at;
    }

    fn left(&self) -> Duration {
        let age = self.clock.since(*self.renewed_at.lock());
        (lease_duration() - expiry_margin()).saturating_sub(age)
    }
}

impl Fence for LeaseDeadline {
    fn is_past(&self) -> bool {
        self.lost.load(Ordering::Acquire) || self.left().is_zero()
    }
}

/// Renews a lease in the background until it is dropped.
pub struct LeaseRenewal(AbortHandle);

impl LeaseRenewal {
    /// Starts renewing; `None` for a hit that is not leased.
    pub fn start(lease: &LeaseHandle) -> Option<Self> {
        let deadline = Arc::clone(lease.deadline.as_ref()?);
        let task = tokio::spawn(renew(Arc::clone(&lease.store), lease.lease?, deadline));
        Some(Self(task.abort_handle()))
    }
}

impl Drop for LeaseRenewal {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn renew(store: Arc<dyn TokenStore>, lease: LeaseId, deadline: Arc<LeaseDeadline>) {
    let mut pause = renewal_interval();
    loop {
        tokio::time::sleep(pause).await;
        let requested_at = deadline.clock.moment();
        let left = deadline.left();
        if left.is_zero() {
            break;
        }
        // A store that does not answer must not delay the end.
        match timeout(left, store.renew(lease, lease_duration())).await {
            Ok(Ok(LeaseState::Held)) => {
                deadline.renewed(requested_at);
                pause = renewal_interval();
            }
            Ok(Ok(LeaseState::Lost)) | Err(_) => break,
            Ok(Err(error)) => {
                tracing::warn!(
                    exception.message = %error, token_id = %lease.token_id(), "lease not renewed"
                );
                pause = renewal_retry_delay().min(deadline.left());
            }
        }
    }
    deadline.lost.store(true, Ordering::Release);
}

/// The lease of an access, as its ticket and what outlives the ticket know it.
#[derive(Clone)]
pub struct LeaseHandle {
    pub(super) store: Arc<dyn TokenStore>,
    pub(super) token_id: TokenId,
    /// Incarnation of the token that admitted the access.
    pub(super) incarnation: u64,
    /// `None`, like `deadline`, for a hit that is not leased.
    pub(super) lease: Option<LeaseId>,
    pub(super) deadline: Option<Arc<LeaseDeadline>>,
}

/// Why an admitted access has no hit any more.
#[derive(Debug)]
pub enum LeaseLost {
    /// The token is gone, whether or not another one has its id by now.
    Revoked,
    /// The lease was not renewed in time, or another node has taken it over.
    Lapsed,
    Unknown(BackendError),
}

impl LeaseHandle {
    /// The lease of a reservation that was requested at `requested_at`.
    pub fn new(
        store: Arc<dyn TokenStore>,
        reservation: &Reservation,
        clock: Arc<dyn Clock>,
        requested_at: Moment,
    ) -> Self {
        let lease = reservation.lease();
        Self {
            store,
            token_id: reservation.token_id(),
            incarnation: reservation.incarnation(),
            lease,
            deadline: lease.map(|_| Arc::new(LeaseDeadline::new(clock, requested_at))),
        }
    }

    /// Whether nothing may be finished on the lease any more.
    pub fn is_over(&self) -> bool {
        self.deadline.as_ref().is_some_and(|d| d.is_past())
    }

    /// Asks the store why the lease was lost.
    pub async fn why_lost(&self) -> LeaseLost {
        match self.store.get(self.token_id).await {
            Ok(Some(token)) if token.incarnation == self.incarnation => LeaseLost::Lapsed,
            Ok(Some(_) | None) => LeaseLost::Revoked,
            Err(error) => LeaseLost::Unknown(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use asset_gateway_backends::clock::TestClock;

    use super::*;

    #[test]
    fn a_lease_ends_by_the_clock_without_a_renewal_task() {
        let clock = TestClock::at(1_000_000);
        let asked = clock.moment();
        let deadline = LeaseDeadline::new(Arc::new(clock.clone()), asked);
        clock.advance(lease_duration() - expiry_margin() - Duration::from_millis(1));
        assert!(!deadline.is_past());
        clock.advance(Duration::from_millis(1));
        assert!(deadline.is_past());
        // The time of the request counts, however late the answer comes.
        let asked = clock.moment();
        clock.advance(lease_duration());
        deadline.renewed(asked);
        assert!(deadline.is_past());
        deadline.renewed(clock.moment());
        assert!(!deadline.is_past());
    }
}
