//! The end of a reservation: commit spends its hit, release frees it; both close the open event.

use std::time::Duration;

use super::kv::{Batch, Kv};
use super::values::{CountedValue, OpenValue, TokenValue, WindowValue};
use super::{Inner, keys, millis, values};
use crate::error::{BackendError, ErrorKind, Result};
use crate::event::{ClaimedEvent, Event, EventId, Report};
use crate::token_store::{Hold, Intent, LeaseState, Reservation, TokenId, Window};

/// How long [`Settlement::Counted`](crate::token_store::Settlement) is known of an upload that a
/// sweep took over: a day.
const SETTLEMENT_KEPT_MS: u64 = 24 * 3600 * 1000;

impl<K: Kv> Inner<K> {
    /// Spends the hit and queues the event. With `claim`, the event of an upload is returned, claimed
    /// for that time.
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
                    self.close_event(event, None, &mut batch)?;
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
                    // The node that made the object visible may still ask for the settlement.
                    let until = now_ms.saturating_add(SETTLEMENT_KEPT_MS);
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
                        // Claimed before it is visible, so that no other claim gets it.
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
            self.close_event(event, Some(report), &mut batch)?;
        }
        self.apply_events(batch)?;
        Ok((LeaseState::Held, claimed))
    }

    /// Frees the hit, and returns whether anything was written.
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
                if self.reserved_token(reservation)?.is_some() {
                    usage.add(id, -1);
                }
            }
            Hold::Counted { window } => {
                if self.reserved_token(reservation)?.is_some()
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
            self.close_event(event, report, &mut batch)?;
        }
        let written = !batch.is_empty();
        self.apply_events(batch)?;
        Ok(written)
    }

    /// Closes the hit window of a hit that is released; `false` if another request has ridden on it.
    fn close_window(&self, id: TokenId, window: Option<Window>, batch: &mut Batch) -> Result<bool> {
        let Some(Window { client, until }) = window else {
            return Ok(true);
        };
        if self.kv.get(&keys::ridden(id, &client, until))?.is_some() {
            return Ok(false);
        }
        let key = keys::window(id, &client);
        let value: Option<WindowValue> = values::read(&self.kv, &key)?;
        // Another deadline is that of a later window of the same client.
        if value.is_some_and(|value| value.until == until) {
            batch.remove(key);
        }
        Ok(true)
    }

    /// The token, if it is still the incarnation that the reservation was made on.
    fn reserved_token(&self, reservation: &Reservation) -> Result<Option<TokenValue>> {
        let key = keys::token(reservation.token_id);
        let token: Option<TokenValue> = values::read(&self.kv, &key)?;
        Ok(token.filter(|token| token.incarnation == reservation.incarnation))
    }

    /// The event of an upload, with the callback and metadata that the token has now.
    fn upload_event(
        &self,
        reservation: &Reservation,
        intent: Intent,
        report: &Report,
        now_ms: u64,
    ) -> Result<Option<Event>> {
        let Some(TokenValue { record, .. }) = self.reserved_token(reservation)? else {
            return Ok(None);
        };
        let (id, method, report) = (reservation.token_id, record.method, report.clone());
        let now = now_ms / 1000;
        Ok(Event::of(id, &record, method, intent.caller, report, now))
    }

    /// Closes an open event: queues it if its `report` has an outcome that is sent, else drops it.
    pub fn close_event(
        &self,
        id: &EventId,
        report: Option<Report>,
        batch: &mut Batch,
    ) -> Result<()> {
        let key = keys::open(id);
        let Some(bytes) = self.kv.get(&key)? else {
            let operation = "embedded.close_entry";
            return Err(BackendError::new(ErrorKind::Corrupt, operation));
        };
        batch.remove(key);
        if let Some(report) = report.filter(|report| self.reports(report)) {
            let OpenValue { mut event, .. } = values::decode(&bytes)?;
            event.report = report;
            // Ids sort by queueing time; the id of an open event has not been shown to anyone.
            event.id = EventId::generate();
            self.queue_event(event, self.clock.now_ms(), batch)?;
        }
        Ok(())
    }
}
