//! The end of an upload: intent, object, commit, in this order.

use std::sync::Arc;

use asset_gateway_backends::callback_queue::{Outcome, Report};
use asset_gateway_backends::object_backend::{ObjectBackend, Stored};
use asset_gateway_backends::token_store::{Intent, Lease};

use super::writing::Writing;
use crate::error::GatewayError;
use crate::tokens::settle::look;

/// What an upload becomes an object of.
pub struct Target {
    pub bucket: Arc<dyn ObjectBackend>,
    /// Empty where nobody has said.
    pub content_type: String,
}

/// Makes the upload visible and counts it, in this order: intent, object, commit.
pub async fn finish(
    mut writing: Writing,
    target: Target,
    intent: Intent,
) -> Result<Stored, GatewayError> {
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
                    size: meta.size,
                },
                Ok(None) => {
                    ticket.release().await.map_err(GatewayError::store)?;
                    return Err(GatewayError::storage(error));
                }
                Err(_) => {
                    ticket.leave_unsettled();
                    return Err(GatewayError::storage(error));
                }
            }
        }
    };
    let report = Report {
        outcome: Outcome::Complete,
        status: 200,
        size: stored.size,
        etag: stored.etag.clone(),
        content_type: target.content_type,
    };
    match ticket.commit(report).await {
        Ok(Lease::Held) => Ok(stored),
        // Revoked between intent and commit.
        Ok(Lease::Lost) => Err(GatewayError::TokenNotFound),
        // Not known: the sweeper will look.
        Err(error) => Err(GatewayError::store(error)),
    }
}
