//! The end of an access, as a call that can be made again.

use std::time::Duration;

use crate::error::Result;
use crate::event::{ClaimedEvent, EventId};
use crate::redis::scripts::Call;
use crate::redis::scripts::Reply;
use crate::redis::scripts::decode;
use crate::redis::{Inner, fresh_id, keys, millis};
use crate::token_store::{Hold, LeaseState, Reservation, TokenId, Window};

/// How an access ended, as it is told to Redis.
pub struct Ending {
    pub token_id: TokenId,
    incarnation: u64,
    lease: String,
    fencing_token: u32,
    open: Option<EventId>,
    queued_as: EventId,
    /// JSON; empty where nobody wants to know.
    report: String,
    call: u64,
    how: How,
}

pub enum How {
    Commit {
        sent: bool,
        claim: Option<Duration>,
    },
    Release {
        kind: &'static str,
        window: Option<Window>,
        unsent: u64,
    },
}

impl Ending {
    pub fn new(reservation: &Reservation, how: How, report: String) -> Result<Self> {
        let (lease, fencing_token) = lease_of(reservation);
        Ok(Self {
            token_id: reservation.token_id,
            incarnation: reservation.incarnation,
            lease,
            fencing_token,
            open: reservation.event.clone(),
            queued_as: keys::event_in(keys::partition_of(reservation.token_id)),
            report,
            call: fresh_id()?,
            how,
        })
    }

    /// What of it counts once though Redis has forgotten its id: the lease and the open entry are gone
    /// after the first time. A counted hit would be given back twice, perhaps somebody else's: it stays
    /// counted.
    pub fn past_the_minute(mut self) -> Option<Self> {
        if let How::Release { kind, window, .. } = &mut self.how
            && *kind == "counted"
        {
            (*kind, *window) = ("riding", None);
            self.open.as_ref()?;
        }
        Some(self)
    }

    pub fn call<'a>(&self, store: &'a Inner) -> Call<'a> {
        let partition = keys::partition_of(self.token_id);
        let open = self.open.as_ref().map_or("", |event| event.as_str());
        match &self.how {
            How::Commit { sent, claim } => store
                .scripts
                .commit
                .on(partition)
                .arg(self.token_id.to_string())
                .arg(&self.lease)
                .arg(self.fencing_token)
                .arg(&store.owner)
                .arg(open)
                .arg(self.queued_as.as_str())
                .arg(&self.report)
                .arg(u8::from(*sent))
                .arg(keys::hex(self.call))
                .arg(claim.map_or(0, millis)),
            How::Release {
                kind,
                window,
                unsent,
            } => store
                .scripts
                .release
                .on(partition)
                .arg(self.token_id.to_string())
                .arg(*kind)
                .arg(keys::hex(self.incarnation))
                .arg(keys::hex(self.call))
                .arg(&self.lease)
                .arg(self.fencing_token)
                .arg(*unsent)
                .arg(window.map_or_else(String::new, |window| hex::encode(window.client)))
                .arg(window.map_or_else(String::new, |window| window.until.to_string()))
                .arg(&store.owner)
                .arg(open)
                .arg(self.queued_as.as_str())
                .arg(&self.report),
        }
    }

    pub fn done(&self, store: &Inner, reply: Reply) -> Result<(LeaseState, Option<ClaimedEvent>)> {
        match &self.how {
            How::Commit { claim, .. } => {
                let mut items = reply.items()?;
                let lease = decode::lease(&items.text()?)?;
                if items.number()? == 1 {
                    store.queued(self.queued_as.clone(), *claim);
                }
                let value = items.text()?;
                let claimed = match value.as_str() {
                    "" => None,
                    value => Some(decode::claimed(value, "")?),
                };
                Ok((lease, claimed))
            }
            How::Release { .. } => {
                if reply.number()? == 1 {
                    store.queued(self.queued_as.clone(), None);
                }
                Ok((LeaseState::Held, None))
            }
        }
    }
}

/// The lease and its fencing token; empty where there is none.
fn lease_of(reservation: &Reservation) -> (String, u32) {
    match reservation.hold {
        Hold::Leased(lease) => (keys::hex(lease.lease), lease.fencing_token),
        Hold::Batched | Hold::Counted { .. } | Hold::Riding => (String::new(), 0),
    }
}
