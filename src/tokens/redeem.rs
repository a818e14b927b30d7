//! One access: admitted by the store, ended by commit or release, whatever happens in between.

use std::sync::Arc;
use std::time::Duration;

use asset_gateway_backends::caller::CallerRef;
use asset_gateway_backends::clock::{Clock, Moment};
use asset_gateway_backends::error::Result as StoreResult;
use asset_gateway_backends::event::{ClaimedEvent, Outcome, Report};
use asset_gateway_backends::object_backend::{Fence, Recorder};
use asset_gateway_backends::token_store::{
    Access, Charged, Intent, LeaseState, Refusal, Reservation, ReserveRequest, Reserved,
    StoredToken, TokenId, TokenRecord, TokenStore,
};
use asset_gateway_backends::{BackendError, ErrorKind};
use tokio::task::JoinHandle;
use tokio_util::task::TaskTracker;

use super::lease::{LeaseDeadline, LeaseKeeper, lease_duration};
use super::lost::AccessLease;
use super::policy::{self, Denied};
use super::secret::{Digester, TokenSecret};
use super::upload::multipart::UploadRecorder;
use crate::callbacks::CircuitBreaker;
use crate::telemetry::record::hits;

/// Who sends a request.
#[derive(Debug, Clone, Copy)]
pub struct Client<'a> {
    /// As events and logs may keep it.
    pub caller: CallerRef<'a>,
    /// All of the `Referer`, for the token's rules alone: a link may stand in it.
    pub referer: &'a str,
}

/// Why somebody was not let in.
#[derive(Debug)]
pub enum NotAdmitted {
    Refused(Refusal),
    Denied(Denied),
    /// Its callback fails, and too many wait.
    CircuitOpen,
    Store(BackendError),
}

impl From<BackendError> for NotAdmitted {
    fn from(error: BackendError) -> Self {
        Self::Store(error)
    }
}

/// Lets accesses in.
#[derive(Clone)]
pub struct Redeemer {
    store: Arc<dyn TokenStore>,
    clock: Arc<dyn Clock>,
    digester: Digester,
    circuit_breaker: Arc<CircuitBreaker>,
    /// Commits and releases that outlive their request; shutting down waits for them.
    detached_tasks: TaskTracker,
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

    pub fn store(&self) -> &Arc<dyn TokenStore> {
        &self.store
    }

    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    pub fn digester(&self) -> &Digester {
        &self.digester
    }

    pub fn detached_tasks(&self) -> &TaskTracker {
        &self.detached_tasks
    }

    /// Counts or leases a hit for one access.
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
            let asked = self.clock.moment();
            match self.store.reserve(id, &request).await? {
                Reserved::Admitted {
                    record,
                    reservation,
                } => {
                    hits::reserved();
                    let ticket = Ticket::new(self, record, reservation, asked);
                    return self.unless_its_receiver_fails(ticket).await;
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

    /// Gives the hit back where the queue has no room for the event.
    async fn unless_its_receiver_fails(&self, ticket: Ticket) -> Result<Ticket, NotAdmitted> {
        let callback = ticket.record.callback.as_deref();
        if callback.is_none_or(|target| self.circuit_breaker.admits(target)) {
            return Ok(ticket);
        }
        ticket.release().await?;
        Err(NotAdmitted::CircuitOpen)
    }

    /// Looks a token up for an access that counts nothing.
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

/// An admitted access. Dropping it gives the hit back.
pub struct Ticket {
    pub record: TokenRecord,
    token_id: TokenId,
    reservation: Option<Reservation>,
    keeper: Option<LeaseKeeper>,
    store: Arc<dyn TokenStore>,
    clock: Arc<dyn Clock>,
    detached_tasks: TaskTracker,
    /// Bytes charged against the budget of `hit_on: complete`.
    charged: u64,
    /// A delivery that is cut off counts as a whole one.
    spent_by_first_byte: bool,
}

impl Ticket {
    /// `asked`: when the store was asked for the reservation.
    fn new(
        redeemer: &Redeemer,
        record: TokenRecord,
        reservation: Reservation,
        asked: Moment,
    ) -> Self {
        let deadline = LeaseDeadline::new(Arc::clone(&redeemer.clock), asked);
        Self {
            record,
            token_id: reservation.token_id(),
            keeper: LeaseKeeper::start(Arc::clone(&redeemer.store), &reservation, deadline),
            reservation: Some(reservation),
            store: Arc::clone(&redeemer.store),
            clock: Arc::clone(&redeemer.clock),
            detached_tasks: redeemer.detached_tasks.clone(),
            charged: 0,
            spent_by_first_byte: false,
        }
    }

    /// Of the token that let it in.
    pub fn token_id(&self) -> TokenId {
        self.token_id
    }

    /// The lease is over, or was lost, while bytes moved: what is under way must not be finished.
    pub fn is_lost(&self) -> bool {
        let keeper = self.keeper.as_ref();
        keeper.is_some_and(|keeper| keeper.deadline().is_over())
    }

    /// Keeps an upload from becoming visible once the lease is over.
    pub fn fence(&self) -> Option<Arc<dyn Fence>> {
        let deadline = Arc::clone(self.keeper.as_ref()?.deadline());
        Some(deadline)
    }

    /// To learn how the access ended.
    pub fn lease(&self) -> AccessLease {
        AccessLease {
            store: Arc::clone(&self.store),
            token_id: self.token_id,
            incarnation: self.reservation.as_ref().map(Reservation::incarnation),
            lease: self.reservation.as_ref().and_then(Reservation::lease),
            deadline: self.keeper.as_ref().map(|k| Arc::clone(k.deadline())),
        }
    }

    /// The reservation's hit is given back where a download is cut off.
    pub fn counts_at_the_end(&self) -> bool {
        self.keeper.is_some()
    }

    /// See [`Reservation::marker`].
    pub fn marker(&self) -> Option<String> {
        self.reservation.as_ref().and_then(Reservation::marker)
    }

    /// Writes down, beside the lease, what storage calls an upload in parts.
    pub fn recorder(&self, clock: &Arc<dyn Clock>) -> Option<Arc<dyn Recorder>> {
        let lease = self.reservation.as_ref()?.lease()?;
        Some(Arc::new(UploadRecorder {
            store: Arc::clone(&self.store),
            clock: Arc::clone(clock),
            lease,
            bucket: self.record.bucket.clone(),
            key: self.record.key.clone(),
        }))
    }

    /// Charges a delivery of `bytes` against the budget of `hit_on: complete`: all hits' worth of
    /// the object and a tenth more. Other tokens have no budget.
    ///
    /// Where storage does not say how long the object is there is none either: then the hit is spent
    /// by the first byte that goes out, or a client that leaves before the last one could have the
    /// bytes without end.
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
            self.counts_at_the_end(),
        ) else {
            return Ok(Charged::Done);
        };
        let whole = max_hits.saturating_mul(object_size);
        let budget = whole.saturating_add(whole / 10);
        // Before it is: where nobody waits for the answer, or it does not come, all of it is given back.
        self.charged = bytes;
        let charged = self.store.charge(reservation, bytes, budget).await?;
        if charged != Charged::Done {
            self.charged = 0;
        }
        Ok(charged)
    }

    /// See [`TokenStore::finalise`].
    pub async fn finalise(&self, intent: Intent) -> StoreResult<LeaseState> {
        match &self.reservation {
            Some(reservation) if !self.is_lost() => {
                let asked = self.clock.moment();
                let held = self
                    .store
                    .finalise(reservation, intent, lease_duration())
                    .await?;
                if let (LeaseState::Held, Some(keeper)) = (held, &self.keeper) {
                    keeper.deadline().renewed(asked);
                }
                Ok(held)
            }
            Some(_) | None => Ok(LeaseState::Lost),
        }
    }

    /// The access happened.
    pub async fn commit(mut self, report: Report) -> StoreResult<LeaseState> {
        let Some(reservation) = self.reservation.take() else {
            return Ok(LeaseState::Lost);
        };
        let outcome = self.store.commit(reservation, report).await?;
        if outcome == LeaseState::Held {
            hits::committed();
        }
        Ok(outcome)
    }

    /// The access happened, and the caller delivers its event within `claim`.
    pub async fn commit_claiming(
        mut self,
        report: Report,
        claim: Duration,
    ) -> StoreResult<(LeaseState, Option<ClaimedEvent>)> {
        let Some(reservation) = self.reservation.take() else {
            return Ok((LeaseState::Lost, None));
        };
        let store = &self.store;
        let committed = store.commit_claiming(reservation, report, claim).await?;
        if committed.0 == LeaseState::Held {
            hits::committed();
        }
        Ok(committed)
    }

    /// It did not happen: the hit is given back before this returns, and also where nobody waits for
    /// that.
    pub async fn release(mut self) -> StoreResult<()> {
        let Some(released) = self.give_back() else {
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

    fn give_back(&mut self) -> Option<JoinHandle<StoreResult<()>>> {
        let reservation = self.reservation.take()?;
        hits::released();
        let store = Arc::clone(&self.store);
        let keeper = self.keeper.take();
        let unsent = self.charged;
        Some(self.detached_tasks.spawn(async move {
            // Renews until the hit is back.
            let _keeper = keeper;
            let token_id = reservation.token_id();
            let released = store.release(reservation, unsent, None).await;
            if let Err(error) = &released {
                tracing::error!(%error, %token_id, "hit not given back");
            }
            released
        }))
    }

    /// A download has ended, somehow; called from `Drop`, so what there is to write is written in
    /// a task of its own. `sent` are the bytes that went out.
    pub fn end_download(mut self, report: Report, sent: u64) {
        let Some(reservation) = self.reservation.take() else {
            return;
        };
        let complete = report.outcome == Outcome::Complete;
        if !reservation.wants_commit() {
            hits::committed();
            return;
        }
        let is_spent = complete || (self.spent_by_first_byte && sent > 0);
        let give_back = reservation.lease().is_some() && !is_spent;
        let unsent = self.charged.saturating_sub(sent);
        let store = Arc::clone(&self.store);
        let keeper = self.keeper.take();
        self.detached_tasks.spawn(async move {
            // Renews until the lease is settled.
            let _keeper = keeper;
            let token_id = reservation.token_id();
            let settled = if give_back {
                hits::released();
                store.release(reservation, unsent, Some(report)).await
            } else {
                hits::committed();
                store.commit(reservation, report).await.map(drop)
            };
            if let Err(error) = settled {
                tracing::error!(%error, %token_id, "download not settled");
            }
        });
    }

    /// Leaves an upload `finalising`: whether it is visible is not known, the sweeper will look.
    pub fn leave_unsettled(mut self) {
        self.reservation = None;
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.give_back();
    }
}
