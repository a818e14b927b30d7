//! What happens to a hit after it was admitted.

use std::time::Duration;

use super::queue::claimed;
use super::{Inner, error, fresh_id, json, keys, millis};
use crate::callback_queue::{Claimed, Report};
use crate::error::Result;
use crate::token_store::{Charged, Hold, Intent, Lease, LeaseId, Reservation};

impl Inner {
    pub async fn charge(
        &self,
        reservation: &Reservation,
        bytes: u64,
        budget: u64,
    ) -> Result<Charged> {
        let Hold::Leased { lease, turn } = reservation.hold else {
            return Ok(Charged::Done);
        };
        let id = reservation.token_id;
        let script = &self.scripts.charge;
        let call = script
            .on(keys::partition_of(id))
            .arg(id.to_string())
            .arg(keys::hex(lease))
            .arg(turn)
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
    ) -> Result<Lease> {
        let intent = match intent {
            Some(intent) => json("redis.extend", &intent)?,
            None => String::new(),
        };
        let script = &self.scripts.extend;
        let call = script
            .on(keys::partition_of(lease.token_id))
            .arg(lease.token_id.to_string())
            .arg(keys::hex(lease.lease))
            .arg(lease.turn)
            .arg(millis(by))
            .arg(intent);
        held(&call.run(&self.link).await?.text()?)
    }

    /// The event of an upload is the caller's for `claim`, and due when that is over.
    pub async fn commit(
        &self,
        reservation: Reservation,
        report: Report,
        claim: Option<Duration>,
    ) -> Result<(Lease, Option<Claimed>)> {
        let (lease, turn) = lease_of(&reservation);
        if lease.is_empty() && reservation.event.is_none() {
            return Ok((Lease::Held, None));
        }
        let id = reservation.token_id;
        let partition = keys::partition_of(id);
        let open = reservation.event.as_ref();
        let queued_as = keys::event_in(partition);
        let script = &self.scripts.commit;
        let call = script
            .on(partition)
            .arg(id.to_string())
            .arg(lease)
            .arg(turn)
            .arg(&self.owner)
            .arg(open.map_or("", |event| event.as_str()))
            .arg(queued_as.as_str())
            .arg(json("redis.commit", &report)?)
            .arg(u8::from(self.reports(&report)))
            .arg(keys::hex(fresh_id()?))
            .arg(claim.map_or(0, millis));
        let mut items = call.run(&self.link).await?.items()?;
        let lease = held(&items.text()?)?;
        if items.number()? == 1 {
            self.queued(queued_as, claim);
        }
        let value = items.text()?;
        let claimed = match value.as_str() {
            "" => None,
            value => Some(claimed(value, "")?),
        };
        Ok((lease, claimed))
    }

    pub async fn release(
        &self,
        reservation: &Reservation,
        unsent: u64,
        report: Option<Report>,
    ) -> Result<()> {
        let id = reservation.token_id;
        let (kind, window) = match reservation.hold {
            Hold::Batched => {
                self.usage.lock().take_back(id, reservation.incarnation, 1);
                ("batched", None)
            }
            Hold::Riding => ("riding", None),
            Hold::Counted { window } => ("counted", window),
            Hold::Leased { .. } => ("leased", None),
        };
        let open = reservation.event.as_ref();
        if matches!(reservation.hold, Hold::Batched | Hold::Riding) && open.is_none() {
            return Ok(());
        }
        let report = match report.filter(|report| self.reports(report)) {
            Some(report) => json("redis.release", &report)?,
            None => String::new(),
        };
        let (lease, turn) = lease_of(reservation);
        let partition = keys::partition_of(id);
        let queued_as = keys::event_in(partition);
        let script = &self.scripts.release;
        let call = script
            .on(partition)
            .arg(id.to_string())
            .arg(kind)
            .arg(keys::hex(reservation.incarnation))
            .arg(keys::hex(fresh_id()?))
            .arg(lease)
            .arg(turn)
            .arg(unsent)
            .arg(window.map_or_else(String::new, |window| hex::encode(window.client)))
            .arg(window.map_or_else(String::new, |window| window.until.to_string()))
            .arg(&self.owner)
            .arg(open.map_or("", |event| event.as_str()))
            .arg(queued_as.as_str())
            .arg(report);
        if call.run(&self.link).await?.number()? == 1 {
            self.queued(queued_as, None);
        }
        Ok(())
    }
}

/// The lease and its turn; empty where there is none.
fn lease_of(reservation: &Reservation) -> (String, u32) {
    match reservation.hold {
        Hold::Leased { lease, turn } => (keys::hex(lease), turn),
        Hold::Batched | Hold::Counted { .. } | Hold::Riding => (String::new(), 0),
    }
}

pub fn held(text: &str) -> Result<Lease> {
    match text {
        "held" => Ok(Lease::Held),
        "lost" => Ok(Lease::Lost),
        other => Err(error::corrupt("redis.lease", other)),
    }
}
