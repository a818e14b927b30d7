//! The end of an upload: intent, object, commit, in this order; then the callback, where the uploader
//! waits for it.

use std::sync::Arc;

use asset_gateway_backends::callback_queue::{Outcome, Report, clip};
use asset_gateway_backends::object_backend::{ObjectBackend, Stored};
use asset_gateway_backends::token_store::{CallbackMode, Intent, Lease};
use asset_gateway_backends::{BackendError, ErrorKind};
use bytes::Bytes;

use super::writing::Writing;
use crate::callbacks::{Courier, NotAnswered};
use crate::error::GatewayError;
use crate::tokens::settle::look;

/// What an upload becomes an object of.
pub struct Target {
    pub bucket: Arc<dyn ObjectBackend>,
    /// Empty where nobody has said.
    pub content_type: String,
    /// Delivers what the uploader waits for.
    pub courier: Arc<Courier>,
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
    let held = ticket.finalise(intent.clone()).await;
    if !matches!(held, Ok(Lease::Held)) {
        writing.undo().await;
        return match held {
            Ok(_) => Err(GatewayError::TokenNotFound),
            Err(error) => Err(GatewayError::store(error)),
        };
    }
    let (Some(ticket), Some(upload)) = (writing.ticket.take(), writing.upload.take()) else {
        return Err(GatewayError::Internal("an upload that has ended".into()));
    };
    let stored = match upload.finish().await {
        Ok(stored) => stored,
        Err(error) => {
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
                    return Err(GatewayError::writing(error));
                }
                Ok(None) => {
                    ticket.release().await.map_err(GatewayError::store)?;
                    return Err(GatewayError::writing(error));
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
        content_type: clip(&target.content_type).to_owned(),
    };
    let committed = match ticket.record.callback_mode {
        CallbackMode::Async => ticket.commit(report).await.map(|lease| (lease, None)),
        CallbackMode::Sync => {
            let claim = target.courier.claim();
            ticket.commit_claiming(report, claim).await
        }
    };
    match committed {
        Ok((Lease::Held, None)) => Ok(Finished {
            stored,
            answer: None,
        }),
        Ok((Lease::Held, Some(claimed))) => Ok(Finished {
            stored,
            answer: Some(target.courier.deliver_and_wait(claimed).await),
        }),
        // Revoked between intent and commit.
        Ok((Lease::Lost, _)) => Err(GatewayError::TokenNotFound),
        // Not known: the sweeper will look.
        Err(error) => Err(GatewayError::store(error)),
    }
}
