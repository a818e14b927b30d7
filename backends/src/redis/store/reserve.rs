//! Admission: the one round trip that decides about an access and counts or leases its hit.

use std::sync::Arc;

use tokio::sync::oneshot;

use super::retry_queue::Deed;
use crate::caller::{Caller, ClientKey};
use crate::error::Result;
use crate::event::EventId;
use crate::redis::scripts::Call;
use crate::redis::scripts::decode;
use crate::redis::scripts::{Items, Reply};
use crate::redis::{Inner, error, fresh_id, keys, millis};
use crate::token_store::{
    Access, Hold, LeaseId, MAX_RIDDEN_WINDOWS, MAX_WINDOWS_PER_ADDRESS, MAX_WINDOWS_PER_TOKEN,
    Method, Refusal, Reservation, ReserveRequest, Reserved, TokenId, Window,
};

/// What the answer is read with.
struct Asked {
    id: TokenId,
    access: Access,
    client: ClientKey,
    /// Names the call, and the lease that it makes.
    call: u64,
    event: EventId,
}

impl Inner {
    /// Runs to its end though the caller goes away: then the hit is given back.
    pub async fn reserve(
        self: &Arc<Self>,
        id: TokenId,
        request: &ReserveRequest<'_>,
    ) -> Result<Reserved> {
        let asked = Asked {
            id,
            access: request.access,
            client: request.caller.client_key(),
            call: fresh_id()?,
            event: keys::event_in(keys::partition_of(id)),
        };
        let caller = crate::redis::json("redis.reserve", &Caller::from(request.caller))?;
        let wanted = Wanted {
            declared: request.declared_size.map(|n| n.to_string()),
            checked: request.rules_checked.map(keys::hex),
            lease_ms: millis(request.lease),
            caller,
        };
        let (tell, answer) = oneshot::channel();
        let store = Arc::clone(self);
        tokio::spawn(async move {
            let call = store.admission(&asked, &wanted);
            let (reserved, may_have_run) = match call.attempt(&store.link).await {
                Ok(reply) => (store.admitted(&asked, reply), false),
                Err(failure) => {
                    let may_have_run = failure.may_have_run();
                    (Err(failure.of(call.operation())), may_have_run)
                }
            };
            if let Err(unheard) = tell.send(reserved) {
                store.give_back(unheard).await;
            }
            // The caller was told that the store is away: a hit must not be gone for that.
            if may_have_run && let Ok(call) = fresh_id() {
                store.see_to(Deed::Undo {
                    token_id: asked.id,
                    reserve: asked.call,
                    call,
                    client: asked.client,
                    event: asked.event,
                });
            }
        });
        let mut answer = Answer {
            store: self,
            answer,
        };
        (&mut answer.answer)
            .await
            .unwrap_or_else(|_| Err(error::away("redis.reserve", "the runtime ends")))
    }

    /// Nobody is there any more to use the hit.
    async fn give_back(self: &Arc<Self>, reserved: Result<Reserved>) {
        if let Ok(Reserved::Admitted { reservation, .. }) = reserved
            && let Err(error) = self.release(&reservation, 0, None).await
        {
            tracing::error!(
                exception.message = %error, token_id = %reservation.token_id, "hit not given back"
            );
        }
    }

    fn admission(&self, asked: &Asked, wanted: &Wanted) -> Call<'_> {
        let (unwritten_of, unwritten) = self.usage.lock().of_any(asked.id);
        let script = &self.scripts.reserve;
        script
            .on(keys::partition_of(asked.id))
            .arg(asked.id.to_string())
            .arg(method_of(asked.access).as_str())
            .arg(wanted.declared.as_deref().unwrap_or_default())
            .arg(wanted.checked.as_deref().unwrap_or_default())
            .arg(wanted.lease_ms)
            .arg(hex::encode(asked.client))
            .arg(keys::hex(asked.call))
            .arg(&self.owner)
            .arg(asked.event.as_str())
            .arg(&wanted.caller)
            .arg(u8::from(self.queue_is_full()))
            .arg(unwritten)
            .arg(keys::hex(unwritten_of))
            .arg(MAX_WINDOWS_PER_TOKEN)
            .arg(MAX_WINDOWS_PER_ADDRESS)
            .arg(MAX_RIDDEN_WINDOWS)
    }

    fn admitted(&self, asked: &Asked, reply: Reply) -> Result<Reserved> {
        let mut items = reply.items()?;
        let refusal = match items.text()?.as_str() {
            "not_found" => Refusal::NotFound,
            "expired" => Refusal::Expired,
            "method" => Refusal::Method(decode::method(&items.text()?)?),
            "size" => Refusal::SizeExceeded {
                limit: items.number()?,
            },
            "hits" => Refusal::HitsExceeded,
            "full" => Refusal::QueueFull,
            "rules" => {
                return Ok(Reserved::CheckRules {
                    record: decode::record(&items.text()?)?,
                    incarnation: decode::hex(&items.text()?)?,
                });
            }
            hold => return self.held(asked, hold, &mut items),
        };
        Ok(Reserved::Refused(refusal))
    }

    fn held(&self, asked: &Asked, hold: &str, items: &mut Items) -> Result<Reserved> {
        let record = decode::record(&items.text()?)?;
        let incarnation = decode::hex(&items.text()?)?;
        let hold = match hold {
            "batched" => {
                self.usage.lock().add(asked.id, incarnation, 1);
                Hold::Batched
            }
            "riding" => Hold::Riding,
            "leased" => Hold::Leased(LeaseId {
                token_id: asked.id,
                lease: asked.call,
                fencing_token: 0,
            }),
            "counted" => Hold::Counted {
                window: items.optional()?.map(|until| Window {
                    client: asked.client,
                    until,
                }),
            },
            other => {
                let what = format!("no such hold: {other:?}");
                return Err(error::corrupt("redis.reserve", what));
            }
        };
        let event = match (asked.access, &record.callback) {
            (Access::Get, Some(_)) => Some(asked.event.clone()),
            (Access::Get, None) | (Access::Put, _) => None,
        };
        Ok(Reserved::Admitted {
            record,
            reservation: Reservation {
                token_id: asked.id,
                incarnation,
                hold,
                event,
            },
        })
    }
}

/// An answer that is waited for. It may have come when the caller goes away.
struct Answer<'a> {
    store: &'a Arc<Inner>,
    answer: oneshot::Receiver<Result<Reserved>>,
}

impl Drop for Answer<'_> {
    fn drop(&mut self) {
        self.answer.close();
        if let Ok(unheard) = self.answer.try_recv()
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            let store = Arc::clone(self.store);
            runtime.spawn(async move { store.give_back(unheard).await });
        }
    }
}

/// The rest of a request, owned.
struct Wanted {
    declared: Option<String>,
    checked: Option<String>,
    lease_ms: u64,
    caller: String,
}

fn method_of(access: Access) -> Method {
    match access {
        Access::Get => Method::Get,
        Access::Put => Method::Put,
    }
}
