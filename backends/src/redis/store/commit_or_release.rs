//! A commit or a release, as a call that `retry_queue` can repeat.

use std::time::Duration;

use crate::error::Result;
use crate::event::{ClaimedEvent, EventId};
use crate::redis::scripts::{Reply, ScriptCall, decode};
use crate::redis::{Inner, keys, millis, random_id};
use crate::token_store::{Hold, LeaseState, Reservation, TokenId, Window};

pub struct CommitOrRelease {
    pub token_id: TokenId,
    incarnation: u64,
    /// Empty where the reservation has no lease.
    lease: String,
    fencing_token: u32,
    open_event: Option<EventId>,
    /// The event's id in the queue.
    queued_as: EventId,
    /// JSON; empty where the event is not reported.
    report: String,
    call_id: u64,
    action: Action,
}

pub enum Action {
    Commit {
        is_reported: bool,
        claim: Option<Duration>,
    },
    Release {
        hold: &'static str,
        window: Option<Window>,
        unsent_bytes: u64,
    },
}

impl CommitOrRelease {
    pub fn new(reservation: &Reservation, action: Action, report: String) -> Result<Self> {
        let (lease, fencing_token) = match reservation.hold {
            Hold::Leased(lease) => (keys::hex(lease.lease), lease.fencing_token),
            Hold::Batched | Hold::Counted { .. } | Hold::Riding => (String::new(), 0),
        };
        Ok(Self {
            token_id: reservation.token_id,
            incarnation: reservation.incarnation,
            lease,
            fencing_token,
            open_event: reservation.event.clone(),
            queued_as: keys::new_event_id(keys::partition_of(reservation.token_id)),
            report,
            call_id: random_id()?,
            action,
        })
    }

    /// What can still be repeated when Redis has forgotten the call id. Lease and open event are gone after the first
    /// run. A counted hit could be released twice, the second time from another access: it stays counted.
    pub fn after_call_id_expiry(mut self) -> Option<Self> {
        if let Action::Release { hold, window, .. } = &mut self.action
            && *hold == "counted"
        {
            (*hold, *window) = ("riding", None);
            self.open_event.as_ref()?;
        }
        Some(self)
    }

    pub fn call<'a>(&self, store: &'a Inner) -> ScriptCall<'a> {
        let open_event = self.open_event.as_ref().map_or("", |event| event.as_str());
        match &self.action {
            Action::Commit { is_reported, claim } => store
                .scripts
                .commit
                .on_token(self.token_id)
                .arg(&self.lease)
                .arg(self.fencing_token)
                .arg(&store.node)
                .arg(open_event)
                .arg(self.queued_as.as_str())
                .arg(&self.report)
                .arg(u8::from(*is_reported))
                .arg(keys::hex(self.call_id))
                .arg(claim.map_or(0, millis)),
            Action::Release {
                hold,
                window,
                unsent_bytes,
            } => store
                .scripts
                .release
                .on_token(self.token_id)
                .arg(*hold)
                .arg(keys::hex(self.incarnation))
                .arg(keys::hex(self.call_id))
                .arg(&self.lease)
                .arg(self.fencing_token)
                .arg(*unsent_bytes)
                .arg(window.map_or_else(String::new, |window| hex::encode(window.client)))
                .arg(window.map_or_else(String::new, |window| window.until.to_string()))
                .arg(&store.node)
                .arg(open_event)
                .arg(self.queued_as.as_str())
                .arg(&self.report),
        }
    }

    /// Reads the reply, and notes the event that was queued.
    pub fn finish(
        &self,
        store: &Inner,
        reply: Reply,
    ) -> Result<(LeaseState, Option<ClaimedEvent>)> {
        match &self.action {
            Action::Commit { claim, .. } => {
                let mut items = reply.items()?;
                let lease = decode::lease_state(&items.text()?)?;
                if items.number()? == 1 {
                    store.queue.note_queued(self.queued_as.clone(), *claim);
                }
                let claimed = match items.text()?.as_str() {
                    "" => None,
                    value => Some(decode::event(value, "")?),
                };
                Ok((lease, claimed))
            }
            Action::Release { .. } => {
                if reply.number()? == 1 {
                    store.queue.note_queued(self.queued_as.clone(), None);
                }
                Ok((LeaseState::Held, None))
            }
        }
    }
}
