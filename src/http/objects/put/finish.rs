//! The end of an upload: intent, object, commit, in this order; then the callback, where the uploader
//! waits for it.

use std::sync::Arc;

use asset_gateway_backends::caller::truncate_client_text;
use asset_gateway_backends::event::{Outcome, Report};
use asset_gateway_backends::object_backend::{ObjectBackend, Stored};
use asset_gateway_backends::token_store::{CallbackMode, Intent, LeaseState, Settlement};
use asset_gateway_backends::{BackendError, ErrorKind};
use bytes::Bytes;

use super::super::lost;
use super::writing::Writing;
use crate::callbacks::{Deliverer, Failure, NotAnswered};
use crate::error::GatewayError;
use crate::tokens::AccessLease;
use crate::tokens::upload::recovery::look;

/// What an upload becomes an object of.
pub struct Target {
    pub bucket: Arc<dyn ObjectBackend>,
    /// Empty where nobody has said.
    pub content_type: String,
    /// Delivers what the uploader waits for.
    pub deliverer: Arc<Deliverer>,
}

/// An object that is visible and counted.
pub struct Finished {
    pub stored: Stored,
    /// What the receiver of the callback said, where the uploader waits for it.
    pub answer: Option<Result<Bytes, NotAnswered>>,
}

/// Storage may yet make the object visible: it has not said no, it has said nothing.
fn is_open(error: &BackendError, bucket: &dyn ObjectBackend) -> bool {
    matches!(error.kind, ErrorKind::NoAnswer | ErrorKind::Timeout)
        && !bucket.capabilities().ends_with_the_process
}

/// Makes the upload visible and counts it, in this order: intent, object, commit.
pub async fn finish(
    mut writing: Writing,
    target: Target,
    intent: Intent,
) -> Result<Finished, GatewayError> {
    let Some(ticket) = &writing.ticket else {
        return Err(GatewayError::Internal("an upload that has ended".into()));
    };
    let lease = ticket.lease();
    let held = ticket.finalise(intent.clone()).await;
    if !matches!(held, Ok(LeaseState::Held)) {
        writing.undo().await;
        return match held {
            Ok(_) => Err(lost(&lease).await),
            Err(error) => Err(GatewayError::store(error)),
        };
    }
    let (Some(ticket), Some(upload)) = (writing.ticket.take(), writing.upload.take()) else {
        return Err(GatewayError::Internal("an upload that has ended".into()));
    };
    let stored = match upload.finish().await {
        Ok(stored) => stored,
        Err(error) => {
            let is_over = lease.is_over();
            let key = ticket.record.key.clone();
            match look(
                target.bucket.as_ref(),
                &key,
                ticket.marker().as_deref(),
                &intent,
            )
            .await
            {
                Ok(Some(meta)) => Stored {
                    etag: meta.etag.unwrap_or_default(),
                    size: intent.size,
                },
                // Storage may yet do what it was asked: the sweeper looks once more.
                Ok(None) if is_open(&error, target.bucket.as_ref()) => {
                    ticket.leave_unsettled();
                    return Err(not_stored(error, is_over, &lease).await);
                }
                Ok(None) => {
                    ticket.release().await.map_err(GatewayError::store)?;
                    return Err(not_stored(error, is_over, &lease).await);
                }
                Err(_) => {
                    ticket.leave_unsettled();
                    return Err(GatewayError::writing(error));
                }
            }
        }
    };
    let report = Report {
        outcome: Outcome::Complete,
        status: 200,
        size: stored.size,
        etag: stored.etag.clone(),
        content_type: truncate_client_text(&target.content_type).to_owned(),
    };
    let mode = ticket.record.callback_mode;
    let committed = match mode {
        CallbackMode::Async => {
            let committed = ticket.commit(report.clone()).await;
            committed.map(|lease| (lease, None))
        }
        CallbackMode::Sync => {
            let claim = target.deliverer.claim();
            ticket.commit_claiming(report.clone(), claim).await
        }
    };
    match committed {
        Ok((LeaseState::Held, None)) => Ok(Finished {
            stored,
            answer: None,
        }),
        Ok((LeaseState::Held, Some(claimed))) => Ok(Finished {
            stored,
            answer: Some(target.deliverer.deliver_and_wait(claimed).await),
        }),
        Ok((LeaseState::Lost, _)) => {
            is_counted(&lease, intent, report).await?;
            Ok(later(stored, mode))
        }
        // The process stood still: what it asked for may be done, and its answer lost.
        Err(error) if lease.is_over() => match lease.settlement().await {
            Ok(Settlement::Counted) => Ok(later(stored, mode)),
            Ok(Settlement::Open | Settlement::Void) | Err(_) => Err(GatewayError::store(error)),
        },
        // Not known: the sweeper will look.
        Err(error) => Err(GatewayError::store(error)),
    }
}

/// Storage's fault; or, where the lease was over, that of its own fence or of whoever has fenced it off.
async fn not_stored(error: BackendError, is_over: bool, lease: &AccessLease) -> GatewayError {
    match is_over {
        true => lost(lease).await,
        false => GatewayError::writing(error),
    }
}

/// Returns where an object that is visible is counted, though not by this upload's own commit.
async fn is_counted(
    lease: &AccessLease,
    intent: Intent,
    report: Report,
) -> Result<(), GatewayError> {
    let uncounted = match lease.settlement().await {
        Ok(Settlement::Counted) => return Ok(()),
        // Storage made it visible after somebody had looked in vain; or the token was revoked.
        Ok(Settlement::Void) => match lease.count_anew(intent, report).await {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(refusal)) => refusal.into(),
            Err(error) => GatewayError::store(error),
        },
        Ok(Settlement::Open) => {
            GatewayError::Unavailable("an upload whose lease was lost is not settled yet".into())
        }
        Err(error) => GatewayError::store(error),
    };
    Err(GatewayError::Uncounted(Box::new(uncounted)))
}

/// Whoever counted it has queued its event: the receiver is asked when it is that event's turn.
fn later(stored: Stored, mode: CallbackMode) -> Finished {
    let answer = match mode {
        CallbackMode::Async => None,
        CallbackMode::Sync => Some(Err(NotAnswered {
            failure: Failure::Timeout,
            will_retry: true,
        })),
    };
    Finished { stored, answer }
}
