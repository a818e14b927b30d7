//! What happens to a hit after it was admitted.

use std::time::Duration;

use super::kv::{Batch, Kv};
use super::values::{CountedValue, LeaseValue, OpenValue, TokenValue, WindowValue};
use super::{Inner, keys, millis, values};
use crate::error::{BackendError, ErrorKind, Result};
use crate::event::{ClaimedEvent, Event, EventId, Report};
use crate::token_store::{
    Charged, Hold, Intent, LeaseId, LeaseState, Reservation, Settlement, TokenId, Window,
};

/// How long it is told that an upload was counted by whoever took it over: a day.
const TOLD_MS: u64 = 24 * 3600 * 1000;

impl<K: Kv> Inner<K> {
    /// The lease, if nobody has taken it over. It goes with its token: where it is there, the token
    /// is the one that it was made on. The token's stripe is held by the caller.
    fn own_lease(&self, id: LeaseId) -> Result<Option<LeaseValue>> {
        let Some(bytes) = self.kv.get(&keys::lease(id.token_id, id.lease))? else {
            return Ok(None);
        };
        let value: LeaseValue = values::decode(&bytes)?;
        Ok((value.fencing_token == id.fencing_token).then_some(value))
    }

    /// [`own_lease`](Self::own_lease), if it has not lapsed.
    pub fn live_lease(&self, id: LeaseId, now_ms: u64) -> Result<Option<LeaseValue>> {
        let value = self.own_lease(id)?;
        Ok(value.filter(|value| !value.has_lapsed(now_ms, self.owner)))
    }

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
        let mut batch = Batch::default();
        batch.put(keys::lease(id, lease.lease), values::encode(&value)?);
        self.kv.apply(batch)?;
        Ok(Charged::Done)
    }

    /// Renews a lease and records an `intent` with it, if there is one.
    pub fn extend(
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
        let mut batch = Batch::default();
        batch.put(
            keys::lease(lease.token_id, lease.lease),
            values::encode(&value)?,
        );
        self.kv.apply(batch)?;
        Ok(LeaseState::Held)
    }

    /// With `claim` the event of an upload is the caller's for so long.
    pub fn commit(
        &self,
        reservation: Reservation,
        report: Report,
        claim: Option<Duration>,
    ) -> Result<(LeaseState, Option<ClaimedEvent>)> {
        let id = reservation.token_id;
        let mut claimed = None;
        let mut batch = Batch::default();
        let _stripe = self.stripe(id);
        if let Hold::Leased(held) = reservation.hold {
            let now_ms = self.clock.now_ms();
            let lease = held.lease;
            let Some(value) = self.live_lease(held, now_ms)? else {
                if let Some(event) = &reservation.event {
                    self.close_entry(event, None, &mut batch)?;
                    self.kv.apply(batch)?;
                }
                return Ok((LeaseState::Lost, None));
            };
            batch.remove(keys::lease(id, lease));
            let mut state = self.state(id)?;
            state.used += 1;
            state.charged = state.charged.saturating_add(value.charged);
            if let Some(intent) = value.intent {
                if held.fencing_token > 0 {
                    // Whoever made the object visible may come and ask.
                    let until = now_ms.saturating_add(TOLD_MS);
                    let counted = values::encode(&CountedValue { until })?;
                    batch.put(keys::counted(id, lease), counted);
                }
                state.uploaded_at = Some(now_ms / 1000);
                let parts = keys::upload(id, lease);
                if self.kv.get(&parts)?.is_some() {
                    batch.remove(parts);
                }
                if let Some(event) = self.upload_event(&reservation, intent, &report, now_ms)? {
                    if let Some(claim) = claim {
                        let until = now_ms.saturating_add(millis(claim));
                        // Before anybody can see it.
                        self.claims.lock().insert(event.id.clone(), until);
                        claimed = Some(ClaimedEvent {
                            event: event.clone(),
                            attempts: Vec::new(),
                            queued_at_ms: now_ms,
                        });
                    }
                    self.queue_event(event, now_ms, &mut batch)?;
                }
            }
            batch.put(keys::state(id), values::encode(&state)?);
        }
        if let Some(event) = &reservation.event {
            self.close_entry(event, Some(report), &mut batch)?;
        }
        self.apply_events(batch)?;
        Ok((LeaseState::Held, claimed))
    }

    pub fn settlement(&self, lease: LeaseId) -> Result<Settlement> {
        let (id, lease) = (lease.token_id, lease.lease);
        let _stripe = self.stripe(id);
        if self.kv.get(&keys::counted(id, lease))?.is_some() {
            return Ok(Settlement::Counted);
        }
        let Some(bytes) = self.kv.get(&keys::lease(id, lease))? else {
            return Ok(Settlement::Void);
        };
        let value: LeaseValue = values::decode(&bytes)?;
        Ok(match value.intent {
            Some(_) => Settlement::Open,
            None => Settlement::Void,
        })
    }

    /// Returns whether anything was written.
    pub fn release(
        &self,
        reservation: &Reservation,
        unsent: u64,
        report: Option<Report>,
    ) -> Result<bool> {
        let id = reservation.token_id;
        let mut batch = Batch::default();
        let mut usage = self.stripe(id);
        match reservation.hold {
            Hold::Riding => {}
            Hold::Batched => {
                if self.token_of(reservation)?.is_some() {
                    usage.add(id, -1);
                }
            }
            Hold::Counted { window } => {
                if self.token_of(reservation)?.is_some()
                    && self.close_window(id, window, &mut batch)?
                {
                    let mut state = self.state(id)?;
                    state.used = state.used.saturating_sub(1);
                    batch.put(keys::state(id), values::encode(&state)?);
                }
            }
            Hold::Leased(lease) => {
                if let Some(value) = self.own_lease(lease)? {
                    batch.remove(keys::lease(id, lease.lease));
                    let sent = value.charged.saturating_sub(unsent);
                    if sent > 0 {
                        let mut state = self.state(id)?;
                        state.charged = state.charged.saturating_add(sent);
                        batch.put(keys::state(id), values::encode(&state)?);
                    }
                }
            }
        }
        if let Some(event) = &reservation.event {
            self.close_entry(event, report, &mut batch)?;
        }
        let written = !batch.is_empty();
        self.apply_events(batch)?;
        Ok(written)
    }

    /// Ends the window of a hit that is to be given back; `false` where it has been ridden on.
    fn close_window(&self, id: TokenId, window: Option<Window>, batch: &mut Batch) -> Result<bool> {
        let Some(Window { client, until }) = window else {
            return Ok(true);
        };
        if self.kv.get(&keys::ridden(id, &client, until))?.is_some() {
            return Ok(false);
        }
        let key = keys::window(id, &client);
        if let Some(bytes) = self.kv.get(&key)? {
            let value: WindowValue = values::decode(&bytes)?;
            // Else it is a later window of the same client.
            if value.until == until {
                batch.remove(key);
            }
        }
        Ok(true)
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
        reservation: &Reservation,
        intent: Intent,
        report: &Report,
        now_ms: u64,
    ) -> Result<Option<Event>> {
        let Some(TokenValue { record, .. }) = self.token_of(reservation)? else {
            return Ok(None);
        };
        let (id, method) = (reservation.token_id, record.method);
        Ok(Event::of(
            id,
            &record,
            method,
            intent.caller,
            report.clone(),
            now_ms / 1000,
        ))
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
            // Ids sort by when events were queued, and nobody has seen this one yet.
            event.id = EventId::generate();
            self.queue_event(event, self.clock.now_ms(), batch)?;
        }
        Ok(())
    }
}
