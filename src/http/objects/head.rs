//! `HEAD /object/{token}`: the headers of `GET`. Uses no hit.

use std::convert::Infallible;

use asset_gateway_backends::ErrorKind;
use asset_gateway_backends::callback_queue::Enqueued;
use asset_gateway_backends::event::{Event, Report};
use asset_gateway_backends::object_backend::GetOptions;
use asset_gateway_backends::token_store::{Method, StoredToken};
use axum::Extension;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::Response;
use bytes::Bytes;
use futures_util::stream;
use http::{HeaderMap, header};

use super::{range, response};
use crate::error::GatewayError;
use crate::http::request_context::RequestContext;
use crate::http::state::AppState;
use crate::tokens::TokenSecret;
use crate::tokens::redeem::{Client, NotAdmitted};
use crate::tokens::upload::recovery::report;

/// The headers of `GET`; uses no hit.
#[utoipa::path(head, path = "/object/{token}", tag = "data plane",
    params(("token" = String, Path, description = "temporary token")),
    responses((status = 200, description = "the object's headers"),
        (status = 304, description = "not modified"), crate::http::error_responses::DownloadErrors))]
pub async fn head(
    State(state): State<AppState>,
    Extension(context): Extension<RequestContext>,
    Path(token): Path<String>,
    headers: HeaderMap,
) -> Result<Response, GatewayError> {
    let token = TokenSecret::parse(&token).ok_or(GatewayError::TokenNotFound)?;
    let client = context.client(&headers, &state.public_base, &token);
    let stored = state.redeemer.peek(&token, client).await?;
    let record = &stored.record;
    let options = GetOptions {
        range: None,
        conditions: range::conditions(&headers)?,
    };
    let response = match state
        .bucket(&record.bucket)?
        .head(&record.key, &options)
        .await
    {
        Ok(meta) => {
            let response = response::whole(record, &meta);
            report_head(&state, &stored, client, report(&meta)).await?;
            let (parts, ()) = response.into_parts();
            // hyper answers a HEAD with the body's length only: an unknown length needs a stream.
            let body = match parts.headers.contains_key(header::CONTENT_LENGTH) {
                true => Body::empty(),
                false => Body::from_stream(stream::empty::<Result<Bytes, Infallible>>()),
            };
            Response::from_parts(parts, body)
        }
        Err(error) if error.kind == ErrorKind::NotModified => {
            response::not_modified(record, &options.conditions)
        }
        Err(error) => return Err(GatewayError::reading(error)),
    };
    Ok(response::about(response, stored.id))
}

/// Queues the event of a HEAD before the answer, where the throttle admits one.
async fn report_head(
    state: &AppState,
    stored: &StoredToken,
    client: Client<'_>,
    report: Report,
) -> Result<(), GatewayError> {
    let (throttle, client_ip) = (state.head_event_throttle(), client.caller.client_ip);
    if stored.record.callback.is_none() || !throttle.admit(stored, client_ip) {
        return Ok(());
    }
    let now = state.redeemer.clock.now_seconds();
    let (id, record) = (stored.id, &stored.record);
    let Some(event) = Event::of(id, record, Method::Head, client.caller, report, now) else {
        return Ok(());
    };
    let queued = enqueue(state, event).await;
    if queued.is_err() {
        throttle.undo(id, client_ip);
    }
    queued
}

async fn enqueue(state: &AppState, event: Event) -> Result<(), GatewayError> {
    if !state.circuit_breaker.admits(&event.target) {
        return Err(NotAdmitted::CircuitOpen.into());
    }
    match state.callbacks().enqueue(event).await {
        Ok(Enqueued::Queued) => Ok(()),
        Ok(Enqueued::Full) => Err(GatewayError::Unavailable(
            "the callback queue is full".into(),
        )),
        Err(error) => Err(GatewayError::store(error)),
    }
}
