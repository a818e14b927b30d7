//! One access through a token: the store admits it, and a commit or a release ends it.
//!
//! Every admitted access ends exactly once: by the call that the caller makes, or by dropping its
//! [`Ticket`], which releases the hit.

use std::sync::Arc;

use asset_gateway_backends::caller::CallerRef;
use asset_gateway_backends::clock::{Clock, Moment};
use asset_gateway_backends::error::Result as StoreResult;
use asset_gateway_backends::event::{Outcome, Report};
use asset_gateway_backends::token_store::{
    Access, Charged, Refusal, Reservation, ReserveRequest, Reserved, StoredToken, TokenId,
    TokenRecord, TokenStore,
};
use asset_gateway_backends::{BackendError, ErrorKind};
use tokio::task::JoinHandle;
use tokio_util::task::TaskTracker;

use super::lease::{LeaseHandle, LeaseRenewal, lease_duration};
use super::policy::{self, Denied};
use super::secret::{Digester, TokenSecret};
use crate::callbacks::CircuitBreaker;
use crate::telemetry::record::hits;

/// The client of a request.
#[derive(Debug, Clone, Copy)]
pub struct Client<'a> {
    /// Without secrets: events and logs may keep it.
    pub caller: CallerRef<'a>,
    /// The unredacted `Referer` header, for the token's rules only: it may contain a URL with a token.
    pub referer: &'a str,
}

/// Why an access is not admitted.
#[derive(Debug)]
pub enum NotAdmitted {
    Refused(Refusal),
    Denied(Denied),
    /// The callback's receiver keeps failing, and the queue is half full.
    CircuitOpen,
    Store(BackendError),
}

impl From<BackendError> for NotAdmitted {
    fn from(error: BackendError) -> Self {
        Self::Store(error)
    }
}

/// Admits accesses.
#[derive(Clone)]
pub struct Redeemer {
    pub store: Arc<dyn TokenStore>,
    pub clock: Arc<dyn Clock>,
    pub digester: Digester,
    circuit_breaker: Arc<CircuitBreaker>,
    /// Commits and releases that go on after their request is gone. The shutdown waits for them.
    pub detached_tasks: TaskTracker,
}

impl Redeemer {
    pub fn new(
        store: Arc<dyn TokenStore>,
        clock: Arc<dyn Clock>,
        digester: Digester,
        circuit_breaker: Arc<CircuitBreaker>,
    ) -> Self {
        Self {
            store,
            clock,
            digester,
            circuit_breaker,
            detached_tasks: TaskTracker::new(),
        }
    }

    /// Counts or leases a hit for one access. Dropping the future releases it.
    pub async fn admit(
        &self,
        token: &TokenSecret,
        access: Access,
        declared_size: Option<u64>,
        client: Client<'_>,
    ) -> Result<Ticket, NotAdmitted> {
        let id = self.digester.id(token);
        let mut request = ReserveRequest {
            access,
            declared_size,
            caller: client.caller,
            rules_checked: None,
            lease: lease_duration(),
        };
        loop {
            let requested_at = self.clock.moment();
            match self.store.reserve(id, &request).await? {
                Reserved::Admitted {
                    record,
                    reservation,
                } => {
                    hits::reserved();
                    let ticket = Ticket::new(self, record, reservation, requested_at);
                    let callback = ticket.record.callback.as_deref();
                    if callback.is_none_or(|target| self.circuit_breaker.admits(target)) {
                        return Ok(ticket);
                    }
                    ticket.release().await?;
                    return Err(NotAdmitted::CircuitOpen);
                }
                Reserved::Refused(refusal) => return Err(NotAdmitted::Refused(refusal)),
                Reserved::CheckRules {
                    record,
                    incarnation,
                } => {
                    self.check_rules(&record, client)?;
                    request.rules_checked = Some(incarnation);
                }
            }
        }
    }

    /// Looks a token up for an access that uses no hit.
    pub async fn peek(
        &self,
        token: &TokenSecret,
        client: Client<'_>,
    ) -> Result<StoredToken, NotAdmitted> {
        let stored = self
            .store
            .get(self.digester.id(token))
            .await?
            .ok_or(NotAdmitted::Refused(Refusal::NotFound))?;
        if self.clock.now_seconds() >= stored.record.expire_at {
            return Err(NotAdmitted::Refused(Refusal::Expired));
        }
        self.check_rules(&stored.record, client)?;
        Ok(stored)
    }

    fn check_rules(&self, record: &TokenRecord, client: Client<'_>) -> Result<(), NotAdmitted> {
        policy::check(
            record,
            self.clock.now_seconds(),
            client.caller.client_ip,
            client.referer,
        )
        .map_err(NotAdmitted::Denied)
    }
}

/// An admitted access. Dropping it releases the hit.
pub struct Ticket {
    pub record: TokenRecord,
    pub lease: LeaseHandle,
    /// `None` once the access has ended.
    pub(super) reservation: Option<Reservation>,
    /// `None` for a hit that is not leased.
    renewal: Option<LeaseRenewal>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) detached_tasks: TaskTracker,
    /// Bytes charged against the budget of `hit_on: complete`.
    charged_bytes: u64,
    /// A download that is cut off counts as a complete one.
    spent_by_first_byte: bool,
}

impl Ticket {
    /// `requested_at`: when the reservation was requested, from which its lease counts.
    fn new(
        redeemer: &Redeemer,
        record: TokenRecord,
        reservation: Reservation,
        requested_at: Moment,
    ) -> Self {
        let store = Arc::clone(&redeemer.store);
        let clock = Arc::clone(&redeemer.clock);
        let lease = LeaseHandle::new(store, &reservation, Arc::clone(&clock), requested_at);
        Self {
            record,
            renewal: LeaseRenewal::start(&lease),
            lease,
            reservation: Some(reservation),
            clock,
            detached_tasks: redeemer.detached_tasks.clone(),
            charged_bytes: 0,
            spent_by_first_byte: false,
        }
    }

    pub fn token_id(&self) -> TokenId {
        self.lease.token_id
    }

    /// Charges a download of `bytes` against the budget of `hit_on: complete`, which is `max_hits` times the
    /// object's size and a tenth more. Other tokens have no budget.
    ///
    /// An object of unknown size has no budget either. Its first byte spends the hit: else a client
    /// that leaves before the last byte could download without end.
    pub async fn charge(
        &mut self,
        bytes: Option<u64>,
        object_size: Option<u64>,
    ) -> StoreResult<Charged> {
        let (Some(bytes), Some(object_size)) = (bytes, object_size) else {
            self.spent_by_first_byte = true;
            return Ok(Charged::Done);
        };
        let (Some(reservation), Some(max_hits), true) = (
            &self.reservation,
            self.record.max_hits,
            self.lease.lease.is_some(),
        ) else {
            return Ok(Charged::Done);
        };
        let all_hits = max_hits.saturating_mul(object_size);
        let budget = all_hits.saturating_add(all_hits / 10);
        // Set before the call: a release after a lost answer returns all of the charge.
        self.charged_bytes = bytes;
        let charged = self.lease.store.charge(reservation, bytes, budget).await?;
        if charged != Charged::Done {
            self.charged_bytes = 0;
        }
        Ok(charged)
    }

    /// Releases the hit of an access that did not happen. Dropping the future does not stop it.
    pub async fn release(mut self) -> StoreResult<()> {
        let Some(released) = self.spawn_release(self.charged_bytes, None) else {
            return Ok(());
        };
        released
            .await
            .unwrap_or_else(|error| match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(error) => Err(BackendError::with_source(
                    ErrorKind::Upstream,
                    "release",
                    error,
                )),
            })
    }

    fn spawn_release(
        &mut self,
        unsent_bytes: u64,
        report: Option<Report>,
    ) -> Option<JoinHandle<StoreResult<()>>> {
        let reservation = self.reservation.take()?;
        hits::released();
        let store = Arc::clone(&self.lease.store);
        let renewal = self.renewal.take();
        Some(self.detached_tasks.spawn(async move {
            // Renews until the hit is released.
            let _renewal = renewal;
            let token_id = reservation.token_id();
            let released = store.release(reservation, unsent_bytes, report).await;
            if let Err(error) = &released {
                tracing::error!(exception.message = %error, %token_id, "hit not released");
            }
            released
        }))
    }

    /// Ends a download, in a detached task because bodies call it from `Drop`: commits it, or releases the hit
    /// of `hit_on: complete` where bytes are missing.
    pub fn finish_download(mut self, report: Report, sent_bytes: u64) {
        let is_spent =
            report.outcome == Outcome::Complete || (self.spent_by_first_byte && sent_bytes > 0);
        if self.lease.lease.is_some() && !is_spent {
            let unsent_bytes = self.charged_bytes.saturating_sub(sent_bytes);
            self.spawn_release(unsent_bytes, Some(report));
            return;
        }
        hits::committed();
        let reservation = self.reservation.take();
        let Some(reservation) = reservation.filter(Reservation::wants_commit) else {
            return;
        };
        let store = Arc::clone(&self.lease.store);
        let renewal = self.renewal.take();
        self.detached_tasks.spawn(async move {
            // Renews until the hit is committed.
            let _renewal = renewal;
            let token_id = reservation.token_id();
            if let Err(error) = store.commit(reservation, report).await {
                tracing::error!(exception.message = %error, %token_id, "download not committed");
            }
        });
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.spawn_release(self.charged_bytes, None);
    }
}
