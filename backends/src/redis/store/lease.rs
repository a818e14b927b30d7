//! What happens to a hit after it was admitted.

use std::sync::Arc;
use std::time::Duration;

use super::commit_or_release::{Ending, How};
use super::retry_queue::Deed;
use crate::error::{ErrorKind, Result};
use crate::event::{ClaimedEvent, Report};
use crate::redis::scripts::decode;
use crate::redis::{Inner, error, fresh_id, json, keys, millis};
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
        let id = reservation.token_id;
        let script = &self.scripts.charge;
        let call = script
            .on(keys::partition_of(id))
            .arg(id.to_string())
            .arg(keys::hex(lease.lease))
            .arg(lease.fencing_token)
            .arg(bytes)
            .arg(budget)
            .arg(keys::hex(fresh_id()?));
        match call.run(&self.link).await?.text()?.as_str() {
            "done" => Ok(Charged::Done),
            "over" => Ok(Charged::OverBudget),
            "lost" => Ok(Charged::Lost),
            other => Err(error::corrupt("redis.charge", other)),
        }
    }

    /// Renews a lease and records an `intent` with it, if there is one.
    pub async fn extend(
        &self,
        lease: LeaseId,
        by: Duration,
        intent: Option<Intent>,
    ) -> Result<LeaseState> {
        let intent = match intent {
            Some(intent) => json("redis.extend", &intent)?,
            None => String::new(),
        };
        let script = &self.scripts.renew;
        let call = script
            .on(keys::partition_of(lease.token_id))
            .arg(lease.token_id.to_string())
            .arg(keys::hex(lease.lease))
            .arg(lease.fencing_token)
            .arg(millis(by))
            .arg(intent);
        decode::lease(&call.run(&self.link).await?.text()?)
    }

    pub async fn settlement(&self, lease: LeaseId) -> Result<Settlement> {
        let script = &self.scripts.settlement;
        let call = script
            .on(keys::partition_of(lease.token_id))
            .arg(lease.token_id.to_string())
            .arg(keys::hex(lease.lease));
        match call.run(&self.link).await?.text()?.as_str() {
            "open" => Ok(Settlement::Open),
            "counted" => Ok(Settlement::Counted),
            "void" => Ok(Settlement::Void),
            other => Err(error::corrupt("redis.settlement", other)),
        }
    }

    /// The event of an upload is the caller's for `claim`, and due when that is over. Where Redis is
    /// away it is tried again, though the caller is told.
    pub async fn commit(
        self: &Arc<Self>,
        reservation: Reservation,
        report: Report,
        claim: Option<Duration>,
    ) -> Result<(LeaseState, Option<ClaimedEvent>)> {
        if reservation.lease().is_none() && reservation.event.is_none() {
            return Ok((LeaseState::Held, None));
        }
        let sent = self.reports(&report);
        let report = json("redis.commit", &report)?;
        let how = How::Commit { sent, claim };
        self.end(Ending::new(&reservation, how, report)?).await
    }

    /// As [`commit`](Self::commit).
    pub async fn release(
        self: &Arc<Self>,
        reservation: &Reservation,
        unsent: u64,
        report: Option<Report>,
    ) -> Result<()> {
        let (kind, window) = match reservation.hold {
            Hold::Batched => {
                let (id, incarnation) = (reservation.token_id, reservation.incarnation);
                self.usage.lock().take_back(id, incarnation, 1);
                ("batched", None)
            }
            Hold::Riding => ("riding", None),
            Hold::Counted { window } => ("counted", window),
            Hold::Leased(_) => ("leased", None),
        };
        let is_nothing = matches!(reservation.hold, Hold::Batched | Hold::Riding);
        if is_nothing && reservation.event.is_none() {
            return Ok(());
        }
        let report = match report.filter(|report| self.reports(report)) {
            Some(report) => json("redis.release", &report)?,
            None => String::new(),
        };
        let how = How::Release {
            kind,
            window,
            unsent,
        };
        let ending = Ending::new(reservation, how, report)?;
        self.end(ending).await.map(drop)
    }

    async fn end(self: &Arc<Self>, ending: Ending) -> Result<(LeaseState, Option<ClaimedEvent>)> {
        match ending.call(self).run(&self.link).await {
            Ok(reply) => ending.done(self, reply),
            Err(error) => {
                if error.kind == ErrorKind::Unavailable {
                    self.see_to(Deed::End(ending));
                }
                Err(error)
            }
        }
    }
}
