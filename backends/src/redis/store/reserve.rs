//! Admission: the one round trip that decides about an access and counts or leases its hit.
//!
//! Where the reply is lost, `retry_queue` undoes it.

use std::sync::Arc;

use tokio::sync::oneshot;

use super::retry_queue::Operation;
use crate::caller::{Caller, ClientKey};
use crate::error::Result;
use crate::event::EventId;
use crate::redis::scripts::{Items, Reply, ScriptCall, decode};
use crate::redis::{Inner, error, json, keys, millis, random_id};
use crate::token_store::{
    Access, Hold, LeaseId, Method, Refusal, Reservation, ReserveRequest, Reserved, TokenId, Window,
};

/// A request, owned by the task that sends it.
struct AccessRequest {
    id: TokenId,
    access: Access,
    client: ClientKey,
    declared_size: Option<u64>,
    rules_checked: Option<u64>,
    lease_ms: u64,
    /// JSON.
    caller: String,
    /// Names the call, and the lease that it makes.
    call_id: u64,
    /// Id of the open event, for a token with a callback.
    event: EventId,
}

impl Inner {
    /// Runs to its end even where the caller is dropped, and then releases the hit.
    pub async fn reserve(
        self: &Arc<Self>,
        id: TokenId,
        request: &ReserveRequest<'_>,
    ) -> Result<Reserved> {
        let request = AccessRequest {
            id,
            access: request.access,
            client: request.caller.client_key(),
            declared_size: request.declared_size,
            rules_checked: request.rules_checked,
            lease_ms: millis(request.lease),
            caller: json("redis.reserve", &Caller::from(request.caller))?,
            call_id: random_id()?,
            event: keys::new_event_id(keys::partition_of(id)),
        };
        let (sender, receiver) = oneshot::channel();
        let store = Arc::clone(self);
        tokio::spawn(async move {
            let call = store.reserve_call(&request);
            let (reserved, may_have_run) = match call.try_run(&store.connection).await {
                Ok(reply) => (store.parse_reserved(&request, reply), false),
                Err(error) => {
                    let may_have_run = error.may_have_run();
                    (Err(error.of(call.operation())), may_have_run)
                }
            };
            if let Err(unused) = sender.send(reserved) {
                store.release_unused(unused).await;
            }
            // The caller gets an error, so no hit may be counted.
            if may_have_run && let Ok(call_id) = random_id() {
                store.retry_in_background(Operation::UndoReserve {
                    token_id: request.id,
                    reserve_id: request.call_id,
                    client: request.client,
                    event: request.event,
                    call_id,
                });
            }
        });
        let mut reserved = PendingReserve {
            store: self,
            receiver,
        };
        (&mut reserved.receiver)
            .await
            .unwrap_or_else(|_| Err(error::unavailable("redis.reserve", "the runtime ends")))
    }

    /// Releases a hit whose caller is gone.
    async fn release_unused(self: &Arc<Self>, reserved: Result<Reserved>) {
        let Ok(Reserved::Admitted { reservation, .. }) = reserved else {
            return;
        };
        let token_id = reservation.token_id;
        if let Err(error) = self.release(reservation, 0, None).await {
            tracing::error!(exception.message = %error, %token_id, "hit not released");
        }
    }

    fn reserve_call(&self, request: &AccessRequest) -> ScriptCall<'_> {
        let (buffered_incarnation, buffered_hits) = self.usage.hits.lock().newest(request.id);
        let method = match request.access {
            Access::Get => Method::Get,
            Access::Put => Method::Put,
        };
        let declared_size = request.declared_size.map(|size| size.to_string());
        let call = self.scripts.reserve.on_token(request.id);
        call.arg(method.as_str())
            .arg(declared_size.unwrap_or_default())
            .arg(request.rules_checked.map_or_else(String::new, keys::hex))
            .arg(request.lease_ms)
            .arg(hex::encode(request.client))
            .arg(keys::hex(request.call_id))
            .arg(&self.node)
            .arg(request.event.as_str())
            .arg(&request.caller)
            .arg(u8::from(self.queue.is_full()))
            .arg(buffered_hits)
            .arg(keys::hex(buffered_incarnation))
    }

    fn parse_reserved(&self, request: &AccessRequest, reply: Reply) -> Result<Reserved> {
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
            hold => return self.parse_admitted(request, hold, &mut items),
        };
        Ok(Reserved::Refused(refusal))
    }

    fn parse_admitted(
        &self,
        request: &AccessRequest,
        hold: &str,
        items: &mut Items,
    ) -> Result<Reserved> {
        let record = decode::record(&items.text()?)?;
        let incarnation = decode::hex(&items.text()?)?;
        let hold = match hold {
            "batched" => {
                self.usage.hits.lock().add(request.id, incarnation, 1);
                Hold::Batched
            }
            "riding" => Hold::Riding,
            "leased" => Hold::Leased(LeaseId {
                token_id: request.id,
                lease: request.call_id,
                fencing_token: 0,
            }),
            "counted" => Hold::Counted {
                window: items.optional()?.map(|until| Window {
                    client: request.client,
                    until,
                }),
            },
            other => {
                let unknown = format!("unknown hold: {other:?}");
                return Err(error::corrupt("redis.reserve", unknown));
            }
        };
        let event = match (request.access, &record.callback) {
            (Access::Get, Some(_)) => Some(request.event.clone()),
            (Access::Get, None) | (Access::Put, _) => None,
        };
        Ok(Reserved::Admitted {
            record,
            reservation: Reservation {
                token_id: request.id,
                incarnation,
                hold,
                event,
            },
        })
    }
}

/// A caller that waits. Where it is dropped, a reply that has just come is released.
struct PendingReserve<'a> {
    store: &'a Arc<Inner>,
    receiver: oneshot::Receiver<Result<Reserved>>,
}

impl Drop for PendingReserve<'_> {
    fn drop(&mut self) {
        self.receiver.close();
        if let Ok(unused) = self.receiver.try_recv()
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            let store = Arc::clone(self.store);
            runtime.spawn(async move { store.release_unused(unused).await });
        }
    }
}
