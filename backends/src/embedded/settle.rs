//! What happens to a hit after it was admitted.

use super::kv::{Batch, Kv};
use super::values::{LeaseValue, OpenValue, TokenValue};
use super::{Inner, keys, millis, values};
use crate::callback_queue::{Event, EventId, Report};
use crate::error::{BackendError, ErrorKind, Result};
use crate::token_store::{Charged, Hold, Intent, Lease, LeaseId, Reservation, TokenId};
use std::time::Duration;

impl<K: Kv> Inner<K> {
    /// The lease `lease`, if it is still ours. The token's stripe is held by the caller.
    fn live_lease(&self, id: TokenId, lease: u64, now_ms: u64) -> Result<Option<LeaseValue>> {
        let Some(bytes) = self.kv.get(&keys::lease(id, lease))? else {
            return Ok(None);
        };
        let value: LeaseValue = values::decode(&bytes)?;
        Ok((!value.has_lapsed(now_ms, self.owner)).then_some(value))
    }

    pub fn charge(&self, reservation: &Reservation, bytes: u64, budget: u64) -> Result<Charged> {
        let id = reservation.token_id;
        let Hold::Leased { lease } = reservation.hold else {
            return Ok(Charged::Done);
        };
        let _stripe = self.stripe(id);
        if self.live_lease(id, lease, self.clock.now_ms())?.is_none() {
            return Ok(Charged::Lost);
        }
        let mut state = self.state(id)?;
        let charged = state.charged.saturating_add(bytes);
        if charged > budget {
            return Ok(Charged::OverBudget);
        }
        state.charged = charged;
        let mut batch = Batch::default();
        batch.put(keys::state(id), values::encode(&state)?);
        self.kv.apply(batch)?;
        Ok(Charged::Done)
    }

    /// Renews a lease and records an `intent` with it, if there is one.
    pub fn extend(&self, lease: LeaseId, by: Duration, intent: Option<Intent>) -> Result<Lease> {
        let LeaseId { token_id, lease } = lease;
        let now_ms = self.clock.now_ms();
        let _stripe = self.stripe(token_id);
        let Some(mut value) = self.live_lease(token_id, lease, now_ms)? else {
            return Ok(Lease::Lost);
        };
        value.until = now_ms.saturating_add(millis(by));
        value.intent = intent.or(value.intent);
        let mut batch = Batch::default();
        batch.put(keys::lease(token_id, lease), values::encode(&value)?);
        self.kv.apply(batch)?;
        Ok(Lease::Held)
    }

    pub fn commit(&self, reservation: Reservation, report: Report) -> Result<Lease> {
        let id = reservation.token_id;
        let mut batch = Batch::default();
        let _stripe = self.stripe(id);
        if let Hold::Leased { lease } = reservation.hold {
            let now_ms = self.clock.now_ms();
            let (Some(value), Some(token)) = (
                self.live_lease(id, lease, now_ms)?,
                self.token_of(&reservation)?,
            ) else {
                return Ok(Lease::Lost);
            };
            batch.remove(keys::lease(id, lease));
            let mut state = self.state(id)?;
            state.used += 1;
            if let Some(intent) = value.intent {
                state.uploaded_at = Some(now_ms / 1000);
                self.upload_event(id, &token, intent, &report, now_ms, &mut batch)?;
            }
            batch.put(keys::state(id), values::encode(&state)?);
        }
        if let Some(event) = &reservation.event {
            self.close_entry(event, Some(report), &mut batch)?;
        }
        self.apply_events(batch)?;
        Ok(Lease::Held)
    }

    pub fn release(
        &self,
        reservation: &Reservation,
        unsent: u64,
        report: Option<Report>,
    ) -> Result<()> {
        let id = reservation.token_id;
        let mut batch = Batch::default();
        let mut usage = self.stripe(id);
        let same_token = self.token_of(reservation)?.is_some();
        match reservation.hold {
            Hold::Riding => {}
            Hold::Batched if same_token => usage.add(id, -1),
            Hold::Counted { window } if same_token => {
                let mut state = self.state(id)?;
                state.used = state.used.saturating_sub(1);
                batch.put(keys::state(id), values::encode(&state)?);
                if let Some(client) = window {
                    batch.remove(keys::window(id, &client));
                }
            }
            Hold::Leased { lease } if same_token => {
                batch.remove(keys::lease(id, lease));
                if unsent > 0 {
                    let mut state = self.state(id)?;
                    state.charged = state.charged.saturating_sub(unsent);
                    batch.put(keys::state(id), values::encode(&state)?);
                }
            }
            Hold::Batched | Hold::Counted { .. } | Hold::Leased { .. } => {}
        }
        if let Some(event) = &reservation.event {
            self.close_entry(event, report, &mut batch)?;
        }
        self.apply_events(batch)
    }

    /// The token that the reservation was made on, if it is still that one.
    fn token_of(&self, reservation: &Reservation) -> Result<Option<TokenValue>> {
        let Some(bytes) = self.kv.get(&keys::token(reservation.token_id))? else {
            return Ok(None);
        };
        let token: TokenValue = values::decode(&bytes)?;
        Ok((token.incarnation == reservation.incarnation).then_some(token))
    }

    fn upload_event(
        &self,
        id: TokenId,
        token: &TokenValue,
        intent: Intent,
        report: &Report,
        now_ms: u64,
        batch: &mut Batch,
    ) -> Result<()> {
        let record = &token.record;
        let Some(target) = &record.callback else {
            return Ok(());
        };
        let event = Event {
            id: EventId::generate(),
            token_id: id,
            target: target.clone(),
            method: record.method.as_str().to_owned(),
            bucket: record.bucket.clone(),
            key: record.key.clone(),
            caller: intent.caller,
            report: report.clone(),
            timestamp: now_ms / 1000,
            metadata: record.metadata.clone(),
        };
        self.queue_event(event, now_ms, batch)
    }

    /// Ends an open entry: queued with its `report` where such outcomes are sent, else dropped.
    pub fn close_entry(
        &self,
        id: &EventId,
        report: Option<Report>,
        batch: &mut Batch,
    ) -> Result<()> {
        let key = keys::open(id);
        let Some(bytes) = self.kv.get(&key)? else {
            return Err(BackendError::new(
                ErrorKind::Corrupt,
                "embedded.close_entry",
            ));
        };
        batch.remove(key);
        if let Some(report) = report.filter(|report| self.reports(report)) {
            let OpenValue { mut event, .. } = values::decode(&bytes)?;
            event.report = report;
            self.queue_event(event, self.clock.now_ms(), batch)?;
        }
        Ok(())
    }
}
