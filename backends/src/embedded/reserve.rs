//! `reserve`: one atomic step decides about an access and counts or leases its hit.

use super::kv::{Batch, Kv};
use super::values::{LeaseValue, OpenValue, TokenValue, WindowValue};
use super::{Inner, UsageBuffer, keys, millis, random_id, values};
use crate::caller::{CLIENT_KEY_ADDRESS_BYTES, ClientKey};
use crate::error::Result;
use crate::event::{Event, EventId, Report};
use crate::token_store::{
    Access, HitOn, Hold, LeaseId, MAX_RIDDEN_WINDOWS, MAX_WINDOWS_PER_ADDRESS,
    MAX_WINDOWS_PER_TOKEN, Method, Refusal, Reservation, ReserveRequest, Reserved, TokenId,
    TokenRecord, Window,
};

/// How long the mark of a ride outlives its window: longer than any access takes to begin.
const RIDE_MARK_KEPT_MS: u64 = 300_000;

/// The decision, and what has to happen before the caller gets it.
pub struct Admission {
    pub reserved: Reserved,
    /// Whether a write has to become durable first. A lease without an open event does not need it:
    /// it ends with this process anyway.
    pub must_be_durable: bool,
}

impl<K: Kv> Inner<K> {
    /// Decides about the access and applies what it writes; the caller waits for durability.
    pub fn reserve(&self, id: TokenId, request: &ReserveRequest<'_>) -> Result<Admission> {
        let refused = |refusal| {
            Ok(Admission {
                reserved: Reserved::Refused(refusal),
                must_be_durable: false,
            })
        };
        let now_ms = self.clock.now_ms();
        let mut usage = self.stripe(id);
        let Some(token) = self.token(id, now_ms / 1000)? else {
            return refused(Refusal::NotFound);
        };
        if let Some(refusal) = refuse(&token, request, now_ms / 1000) {
            return refused(refusal);
        }
        if token.record.has_rules() && request.rules_checked != Some(token.incarnation) {
            return Ok(Admission {
                reserved: Reserved::CheckRules {
                    incarnation: token.incarnation,
                    record: token.record,
                },
                must_be_durable: false,
            });
        }
        if let (Some(limit), Some(declared), Access::Put) =
            (token.record.size, request.declared_size, request.access)
            && declared > limit
        {
            return refused(Refusal::SizeExceeded { limit });
        }

        let mut batch = Batch::default();
        let Some(hold) = self.hold(id, &token.record, request, now_ms, &mut usage, &mut batch)?
        else {
            return refused(Refusal::HitsExceeded);
        };
        if token.record.callback.is_some() && self.queue_is_full() {
            return refused(Refusal::QueueFull);
        }
        let event = self.open_event(id, &token.record, request, now_ms, &mut batch)?;
        let written = !batch.is_empty();
        if written {
            self.kv.writable()?;
            self.kv.apply(batch)?;
        }
        if hold == Hold::Batched {
            usage.add(id, 1);
        }
        let outlives_process = match hold {
            Hold::Counted { .. } => true,
            Hold::Batched | Hold::Riding | Hold::Leased(_) => event.is_some(),
        };
        Ok(Admission {
            reserved: Reserved::Admitted {
                reservation: Reservation {
                    token_id: id,
                    incarnation: token.incarnation,
                    hold,
                    event,
                },
                record: token.record,
            },
            must_be_durable: written && outlives_process,
        })
    }

    /// Takes a hit; `None` if none is left. Its writes go to `batch`.
    fn hold(
        &self,
        id: TokenId,
        record: &TokenRecord,
        request: &ReserveRequest<'_>,
        now_ms: u64,
        usage: &mut UsageBuffer,
        batch: &mut Batch,
    ) -> Result<Option<Hold>> {
        let leased = match request.access {
            Access::Put => true,
            Access::Get => record.hit_on == HitOn::Complete && record.max_hits.is_some(),
        };
        if leased {
            return self.lease(id, record, request, now_ms, usage.of(id), batch);
        }
        if record.max_hits.is_none() && record.hit_window_seconds.is_none() {
            return Ok(Some(Hold::Batched));
        }
        let window = record
            .hit_window_seconds
            .map(|seconds| (seconds, request.caller.client_key()));
        if let Some((_, client)) = &window
            && self.rides(id, client, now_ms, batch)?
        {
            return Ok(Some(Hold::Riding));
        }
        let mut state = self.state(id)?;
        // A token that was unlimited until now may have unwritten hits.
        let unwritten = usage.of(id);
        if record
            .max_hits
            .is_some_and(|max| state.used.saturating_add_signed(unwritten) >= max)
        {
            return Ok(None);
        }
        state.used += 1;
        batch.put(keys::state(id), values::encode(&state)?);
        let window = match window {
            Some((seconds, client)) => self.open_window(id, client, seconds, now_ms, batch)?,
            None => None,
        };
        Ok(Some(Hold::Counted { window }))
    }

    /// Leases a hit; `None` if none is left.
    fn lease(
        &self,
        id: TokenId,
        record: &TokenRecord,
        request: &ReserveRequest<'_>,
        now_ms: u64,
        unwritten: i64,
        batch: &mut Batch,
    ) -> Result<Option<Hold>> {
        if let Some(max) = record.max_hits {
            let held = self.count_leases(id, now_ms, batch)?;
            let used = self.state(id)?.used.saturating_add_signed(unwritten);
            if used.saturating_add(held) >= max {
                return Ok(None);
            }
        }
        let lease = random_id()?;
        let value = LeaseValue {
            until: now_ms.saturating_add(millis(request.lease)),
            owner: self.owner,
            charged: 0,
            intent: None,
            fencing_token: 0,
        };
        batch.put(keys::lease(id, lease), values::encode(&value)?);
        Ok(Some(Hold::Leased(LeaseId {
            token_id: id,
            lease,
            fencing_token: 0,
        })))
    }

    /// Counts the live leases; the removal of lapsed ones goes to `batch`.
    fn count_leases(&self, id: TokenId, now_ms: u64, batch: &mut Batch) -> Result<u64> {
        let mut held = 0;
        self.kv.scan(&keys::leases(id), None, &mut |key, value| {
            let lease: LeaseValue = values::decode(value)?;
            if lease.intent.is_none() && lease.has_lapsed(now_ms, self.owner) {
                batch.remove(key.to_vec());
            } else {
                held += 1;
            }
            Ok(true)
        })?;
        Ok(held)
    }

    /// Whether the client has an open window. The first ride is marked, so that the hit is not released
    /// any more.
    fn rides(
        &self,
        id: TokenId,
        client: &ClientKey,
        now_ms: u64,
        batch: &mut Batch,
    ) -> Result<bool> {
        let key = keys::window(id, client);
        let Some(mut window) = values::read::<WindowValue>(&self.kv, &key)? else {
            return Ok(false);
        };
        if window.until <= now_ms {
            return Ok(false);
        }
        if !window.ridden {
            window.ridden = true;
            batch.put(key, values::encode(&window)?);
            let mark = WindowValue {
                until: window.until.saturating_add(RIDE_MARK_KEPT_MS),
                ridden: true,
            };
            let key = keys::ridden(id, client, window.until);
            batch.put(key, values::encode(&mark)?);
        }
        Ok(true)
    }

    /// Opens a window for the client; `None` if the token has too many.
    fn open_window(
        &self,
        id: TokenId,
        client: ClientKey,
        seconds: u64,
        now_ms: u64,
        batch: &mut Batch,
    ) -> Result<Option<Window>> {
        if !self.has_room_for_window(id, &client, now_ms, batch)? {
            return Ok(None);
        }
        let until = now_ms.saturating_add(seconds.saturating_mul(1000));
        let value = WindowValue {
            until,
            ridden: false,
        };
        batch.put(keys::window(id, &client), values::encode(&value)?);
        Ok(Some(Window { client, until }))
    }

    /// Whether the token may open one more window. The removal of expired windows and marks goes to
    /// `batch`; their number is bounded.
    fn has_room_for_window(
        &self,
        id: TokenId,
        client: &ClientKey,
        now_ms: u64,
        batch: &mut Batch,
    ) -> Result<bool> {
        let (mut open, mut of_address, mut ridden) = (0, 0, 0);
        self.kv.scan(&keys::windows(id), None, &mut |key, value| {
            if values::decode::<WindowValue>(value)?.until <= now_ms {
                batch.remove(key.to_vec());
                return Ok(true);
            }
            match keys::parse_window(key) {
                Some(other) => {
                    open += 1;
                    let is_same =
                        other[..CLIENT_KEY_ADDRESS_BYTES] == client[..CLIENT_KEY_ADDRESS_BYTES];
                    of_address += usize::from(is_same);
                }
                None => ridden += 1,
            }
            Ok(true)
        })?;
        Ok(open < MAX_WINDOWS_PER_TOKEN
            && of_address < MAX_WINDOWS_PER_ADDRESS
            && ridden < MAX_RIDDEN_WINDOWS)
    }

    /// Writes the open event of a download with a callback, which a sweep reports if this node dies.
    fn open_event(
        &self,
        id: TokenId,
        record: &TokenRecord,
        request: &ReserveRequest<'_>,
        now_ms: u64,
        batch: &mut Batch,
    ) -> Result<Option<EventId>> {
        let (caller, report) = (request.caller, Report::interrupted());
        let event = match request.access {
            Access::Get => Event::of(id, record, Method::Get, caller, report, now_ms / 1000),
            Access::Put => None,
        };
        let Some(event) = event else {
            return Ok(None);
        };
        let event_id = event.id.clone();
        let open = OpenValue {
            owner: self.owner,
            event,
        };
        batch.put(keys::open(&event_id), values::encode(&open)?);
        Ok(Some(event_id))
    }
}

/// Refusals that do not depend on hits.
fn refuse(token: &TokenValue, request: &ReserveRequest<'_>, now: u64) -> Option<Refusal> {
    if token.is_expired(now) {
        return Some(Refusal::Expired);
    }
    let method = token.record.method;
    let allowed = match request.access {
        Access::Get => method == Method::Get,
        Access::Put => method == Method::Put,
    };
    (!allowed).then_some(Refusal::Method(method))
}
