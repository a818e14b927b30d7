//! A reservation after its admission: charge, renew, commit, release, settlement.

use std::sync::Arc;
use std::time::Duration;

use super::commit_or_release::{Action, CommitOrRelease};
use super::retry_queue::Operation;
use crate::error::{ErrorKind, Result};
use crate::event::{ClaimedEvent, Report};
use crate::redis::scripts::decode;
use crate::redis::{Inner, error, json, keys, millis, random_id};
use crate::token_store::{Charged, Hold, Intent, LeaseId, LeaseState, Reservation, Settlement};

impl Inner {
    pub async fn charge(
        &self,
        reservation: &Reservation,
        bytes: u64,
        budget: u64,
    ) -> Result<Charged> {
        let Hold::Leased(lease) = reservation.hold else {
            return Ok(Charged::Done);
        };
        let call = self.scripts.charge.on_lease(lease);
        let call = call.arg(bytes).arg(budget).arg(keys::hex(random_id()?));
        match call.run(&self.connection).await?.text()?.as_str() {
            "done" => Ok(Charged::Done),
            "over" => Ok(Charged::OverBudget),
            "lost" => Ok(Charged::Lost),
            other => Err(error::corrupt("redis.charge", other)),
        }
    }

    pub async fn renew(&self, lease: LeaseId, duration: Duration) -> Result<LeaseState> {
        self.renew_with(lease, duration, String::new()).await
    }

    pub async fn finalise(
        &self,
        reservation: &Reservation,
        intent: Intent,
        duration: Duration,
    ) -> Result<LeaseState> {
        let Some(lease) = reservation.lease() else {
            return Ok(LeaseState::Held);
        };
        let intent = json("redis.renew", &intent)?;
        self.renew_with(lease, duration, intent).await
    }

    /// Renews a lease. An `intent`, JSON, makes its upload a finalising one.
    async fn renew_with(
        &self,
        lease: LeaseId,
        duration: Duration,
        intent: String,
    ) -> Result<LeaseState> {
        let call = self.scripts.renew.on_lease(lease);
        let call = call.arg(millis(duration)).arg(intent);
        decode::lease_state(&call.run(&self.connection).await?.text()?)
    }

    pub async fn settlement(&self, lease: LeaseId) -> Result<Settlement> {
        let call = self.scripts.settlement.on_lease(lease);
        match call.run(&self.connection).await?.text()?.as_str() {
            "open" => Ok(Settlement::Open),
            "counted" => Ok(Settlement::Counted),
            "void" => Ok(Settlement::Void),
            other => Err(error::corrupt("redis.settlement", other)),
        }
    }

    /// With `claim`, the caller has claimed the event of an upload for so long. Where Redis is away, the commit is
    /// retried in the background; the caller gets the error all the same.
    pub async fn commit_claiming(
        self: &Arc<Self>,
        reservation: Reservation,
        report: Report,
        claim: Option<Duration>,
    ) -> Result<(LeaseState, Option<ClaimedEvent>)> {
        if reservation.lease().is_none() && reservation.event.is_none() {
            return Ok((LeaseState::Held, None));
        }
        let is_reported = self.queue.is_reported(&report);
        let report = json("redis.commit", &report)?;
        let action = Action::Commit { is_reported, claim };
        self.commit_or_release(CommitOrRelease::new(&reservation, action, report)?)
            .await
    }

    /// Retried as [`commit_claiming`](Self::commit_claiming) is.
    pub async fn release(
        self: &Arc<Self>,
        reservation: Reservation,
        unsent_bytes: u64,
        report: Option<Report>,
    ) -> Result<()> {
        let (hold, window) = match reservation.hold {
            Hold::Batched => {
                let (id, incarnation) = (reservation.token_id, reservation.incarnation);
                self.usage.hits.lock().release(id, incarnation, 1);
                ("batched", None)
            }
            Hold::Riding => ("riding", None),
            Hold::Counted { window } => ("counted", window),
            Hold::Leased(_) => ("leased", None),
        };
        let holds_nothing = matches!(reservation.hold, Hold::Batched | Hold::Riding);
        if holds_nothing && reservation.event.is_none() {
            return Ok(());
        }
        let report = match report.filter(|report| self.queue.is_reported(report)) {
            Some(report) => json("redis.release", &report)?,
            None => String::new(),
        };
        let action = Action::Release {
            hold,
            window,
            unsent_bytes,
        };
        let release = CommitOrRelease::new(&reservation, action, report)?;
        self.commit_or_release(release).await.map(drop)
    }

    async fn commit_or_release(
        self: &Arc<Self>,
        operation: CommitOrRelease,
    ) -> Result<(LeaseState, Option<ClaimedEvent>)> {
        match operation.call(self).run(&self.connection).await {
            Ok(reply) => operation.finish(self, reply),
            Err(error) => {
                if error.kind == ErrorKind::Unavailable {
                    self.retry_in_background(Operation::CommitOrRelease(operation));
                }
                Err(error)
            }
        }
    }
}
