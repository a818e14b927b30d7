//! Leases of hits: ownership, renewal, byte budget, and what became of lost ones.

use std::time::Duration;

use super::kv::{Batch, Kv};
use super::values::LeaseValue;
use super::{Inner, keys, millis, values};
use crate::error::Result;
use crate::token_store::{Charged, Hold, Intent, LeaseId, LeaseState, Reservation, Settlement};

impl<K: Kv> Inner<K> {
    /// The lease, unless a sweep has taken it over. A lease is removed with its token, so a lease that
    /// is found belongs to the token's current incarnation. The caller holds the token's stripe.
    pub fn own_lease(&self, id: LeaseId) -> Result<Option<LeaseValue>> {
        let key = keys::lease(id.token_id, id.lease);
        let value: Option<LeaseValue> = values::read(&self.kv, &key)?;
        Ok(value.filter(|value| value.fencing_token == id.fencing_token))
    }

    /// [`own_lease`](Self::own_lease), unless it has lapsed.
    pub fn live_lease(&self, id: LeaseId, now_ms: u64) -> Result<Option<LeaseValue>> {
        let value = self.own_lease(id)?;
        Ok(value.filter(|value| !value.has_lapsed(now_ms, self.owner)))
    }

    /// Charges bytes against the token's budget, which all live leases share.
    pub fn charge(&self, reservation: &Reservation, bytes: u64, budget: u64) -> Result<Charged> {
        let id = reservation.token_id;
        let Hold::Leased(lease) = reservation.hold else {
            return Ok(Charged::Done);
        };
        let now_ms = self.clock.now_ms();
        let _stripe = self.stripe(id);
        let Some(mut value) = self.live_lease(lease, now_ms)? else {
            return Ok(Charged::Lost);
        };
        let mut charged = self.state(id)?.charged.saturating_add(bytes);
        self.kv.scan(&keys::leases(id), None, &mut |_, other| {
            let other: LeaseValue = values::decode(other)?;
            if !other.has_lapsed(now_ms, self.owner) {
                charged = charged.saturating_add(other.charged);
            }
            Ok(true)
        })?;
        if charged > budget {
            return Ok(Charged::OverBudget);
        }
        value.charged = value.charged.saturating_add(bytes);
        let key = keys::lease(id, lease.lease);
        self.kv.apply(Batch::of_put(key, values::encode(&value)?))?;
        Ok(Charged::Done)
    }

    /// Renews a lease and records `intent` with it, if given.
    pub fn renew(
        &self,
        lease: LeaseId,
        by: Duration,
        intent: Option<Intent>,
    ) -> Result<LeaseState> {
        let now_ms = self.clock.now_ms();
        let _stripe = self.stripe(lease.token_id);
        let Some(mut value) = self.live_lease(lease, now_ms)? else {
            return Ok(LeaseState::Lost);
        };
        value.until = now_ms.saturating_add(millis(by));
        value.intent = intent.or(value.intent);
        let key = keys::lease(lease.token_id, lease.lease);
        self.kv.apply(Batch::of_put(key, values::encode(&value)?))?;
        Ok(LeaseState::Held)
    }

    /// Tells what became of a finalised lease that its holder has lost.
    pub fn settlement(&self, lease: LeaseId) -> Result<Settlement> {
        let (id, lease) = (lease.token_id, lease.lease);
        let _stripe = self.stripe(id);
        if self.kv.get(&keys::counted(id, lease))?.is_some() {
            return Ok(Settlement::Counted);
        }
        let value: Option<LeaseValue> = values::read(&self.kv, &keys::lease(id, lease))?;
        Ok(match value.and_then(|value| value.intent) {
            Some(_) => Settlement::Open,
            None => Settlement::Void,
        })
    }
}
