//! The later states of an upload: intent, object, commit, in this order.

use std::sync::Arc;
use std::time::Duration;

use asset_gateway_backends::caller::{Caller, truncate_client_text};
use asset_gateway_backends::error::Result as StoreResult;
use asset_gateway_backends::event::{ClaimedEvent, Report};
use asset_gateway_backends::object_backend::{ObjectBackend, Stored, Upload};
use asset_gateway_backends::token_store::{CallbackMode, Intent, LeaseState, Settlement};
use asset_gateway_backends::{BackendError, ErrorKind};

use super::receiving::{Open, Receiving, ended};
use super::recovery::find_object;
use super::{UploadError, Uploaded};
use crate::callbacks::{Deliverer, Failure, NotAnswered};
use crate::telemetry::record::hits;
use crate::tokens::Ticket;
use crate::tokens::lease::lease_duration;

/// What the states after [`Receiving`] have in common.
struct Access {
    ticket: Ticket,
    intent: Intent,
    bucket: Arc<dyn ObjectBackend>,
    content_type: Option<String>,
}

/// The intent is durable: recovery takes over where this node dies.
struct Finalising {
    storage: Box<dyn Upload>,
    access: Access,
}

/// Storage has made the object visible, and no hit counts it yet.
struct Visible {
    stored: Stored,
    access: Access,
}

impl Receiving {
    /// Takes an upload that has all its bytes through the remaining states. They run in a detached task:
    /// dropping the future does not stop them.
    pub async fn complete(
        mut self,
        caller: Caller,
        deliverer: Arc<Deliverer>,
    ) -> Result<Uploaded, UploadError> {
        let size = self.size;
        let ticket = &self.open()?.ticket;
        let detached_tasks = ticket.detached_tasks.clone();
        let intent = Intent {
            size,
            caller,
            at_ms: ticket.clock.now_ms(),
        };
        let states = async move {
            let visible = self.finalise(intent).await?.store().await?;
            visible.commit(&deliverer).await
        };
        let panicked = |error| UploadError::Internal(format!("finishing an upload: {error}"));
        detached_tasks.spawn(states).await.map_err(panicked)?
    }

    /// Makes the intent durable. Where that fails, aborts.
    async fn finalise(mut self, intent: Intent) -> Result<Finalising, UploadError> {
        let ticket = &self.open()?.ticket;
        let lease = ticket.lease.clone();
        match ticket.finalise(intent.clone()).await {
            Ok(LeaseState::Held) => {}
            Ok(LeaseState::Lost) => {
                self.abort().await;
                return Err(lease.why_lost().await.into());
            }
            Err(error) => {
                self.abort().await;
                return Err(UploadError::TokenStore(error));
            }
        }
        let Open {
            storage, ticket, ..
        } = self.open.take().ok_or_else(ended)?;
        let access = Access {
            ticket,
            intent,
            bucket: Arc::clone(&self.bucket),
            content_type: self.content_type.take(),
        };
        Ok(Finalising { storage, access })
    }
}

impl Finalising {
    /// Makes the object visible. After an error of storage, looks whether it is.
    async fn store(self) -> Result<Visible, UploadError> {
        let Self { storage, access } = self;
        let error = match storage.finish().await {
            Ok(stored) => return Ok(Visible { stored, access }),
            Err(error) => error,
        };
        let (bucket, ticket, intent) = (access.bucket.as_ref(), &access.ticket, &access.intent);
        let (lease, marker) = (ticket.lease.clone(), ticket.marker());
        let was_over = lease.is_over();
        let found = find_object(bucket, &ticket.record.key, marker.as_deref(), intent).await;
        match found {
            Ok(Some(meta)) => {
                let stored = Stored {
                    etag: meta.etag.unwrap_or_default(),
                    size: intent.size,
                };
                return Ok(Visible { stored, access });
            }
            Ok(None) if may_still_appear(&error, bucket) => access.ticket.leave_finalising(),
            Ok(None) => {
                let released = access.ticket.release().await;
                released.map_err(UploadError::TokenStore)?;
            }
            Err(_) => {
                access.ticket.leave_finalising();
                return Err(UploadError::Storage(error));
            }
        }
        // A lease that was over makes the upload's own fence refuse it, or that of the recovery.
        Err(match was_over {
            true => lease.why_lost().await.into(),
            false => UploadError::Storage(error),
        })
    }
}

/// Whether storage may still make the object visible: it gave no answer.
fn may_still_appear(error: &BackendError, bucket: &dyn ObjectBackend) -> bool {
    matches!(error.kind, ErrorKind::NoAnswer | ErrorKind::Timeout)
        && !bucket.capabilities().writes_end_with_process
}

impl Visible {
    /// Spends the hit and queues the event; with `callback_mode: sync`, delivers the event.
    async fn commit(self, deliverer: &Deliverer) -> Result<Uploaded, UploadError> {
        let Self { stored, access } = self;
        let ticket = access.ticket;
        let lease = ticket.lease.clone();
        let content_type = access.content_type.unwrap_or_default();
        let report = Report::complete(
            stored.size,
            stored.etag.clone(),
            truncate_client_text(&content_type).to_owned(),
        );
        let is_sync = ticket.record.callback_mode == CallbackMode::Sync;
        let claim = is_sync.then(|| deliverer.claim_duration());
        match ticket.commit(report.clone(), claim).await {
            Ok((LeaseState::Held, claimed)) => {
                let callback = match claimed {
                    None => None,
                    Some(claimed) => Some(deliverer.deliver_and_wait(claimed).await),
                };
                return Ok(Uploaded { stored, callback });
            }
            Ok((LeaseState::Lost, _)) => {
                let counted = lease.count_visible_object(access.intent, report).await;
                counted.map_err(UploadError::Uncounted)?;
            }
            // The process was stopped: the commit may have happened, and only its answer be missing.
            Err(error) if lease.is_over() => match lease.recovery_outcome().await {
                Ok(Settlement::Counted) => {}
                Ok(Settlement::Open | Settlement::Void) | Err(_) => {
                    return Err(UploadError::TokenStore(error));
                }
            },
            // Whether the commit happened is not known: recovery looks for the object.
            Err(error) => return Err(UploadError::TokenStore(error)),
        }
        // The node that counted the upload has queued its event, which is delivered in its turn.
        let callback = is_sync.then_some(Err(NotAnswered {
            failure: Failure::Timeout,
            will_retry: true,
        }));
        Ok(Uploaded { stored, callback })
    }
}

impl Ticket {
    /// See [`TokenStore::finalise`](asset_gateway_backends::token_store::TokenStore::finalise).
    async fn finalise(&self, intent: Intent) -> StoreResult<LeaseState> {
        match &self.reservation {
            Some(reservation) if !self.lease.is_over() => {
                let requested_at = self.clock.moment();
                let store = &self.lease.store;
                let finalised = store
                    .finalise(reservation, intent, lease_duration())
                    .await?;
                if let (LeaseState::Held, Some(deadline)) = (finalised, &self.lease.deadline) {
                    deadline.renewed(requested_at);
                }
                Ok(finalised)
            }
            Some(_) | None => Ok(LeaseState::Lost),
        }
    }

    /// Spends the hit and queues the event. With `claim`, hands the event out for that long.
    async fn commit(
        mut self,
        report: Report,
        claim: Option<Duration>,
    ) -> StoreResult<(LeaseState, Option<ClaimedEvent>)> {
        let Some(reservation) = self.reservation.take() else {
            return Ok((LeaseState::Lost, None));
        };
        let store = &self.lease.store;
        let committed = store.commit_claiming(reservation, report, claim).await?;
        if committed.0 == LeaseState::Held {
            hits::committed();
        }
        Ok(committed)
    }

    /// Leaves the lease `finalising`: whether the object is visible is not known, and recovery looks.
    fn leave_finalising(mut self) {
        self.reservation = None;
    }
}
