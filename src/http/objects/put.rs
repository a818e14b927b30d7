//! `PUT`: from the client to storage, piece by piece; visible and acknowledged at the end, or
//! without a trace.

mod answer;
mod finish;
mod writing;

use std::sync::Arc;

use asset_gateway_backends::ErrorKind;
use asset_gateway_backends::object_backend::{GetOptions, ObjectBackend, PutOptions, Upload};
use asset_gateway_backends::token_store::{Access, Intent, TokenRecord};
use axum::Extension;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::Response;
use http::{HeaderMap, header};
use http_body::Body as _;
use http_body_util::BodyExt;

use super::checksum::Checksums;
use super::representation::Representation;
use super::{about, bucket, lost, parse, range};
use crate::error::GatewayError;
use crate::http::json;
use crate::http::request_context::RequestContext;
use crate::http::state::AppState;
use crate::telemetry::record::{Direction, InFlight};
use crate::tokens::Ticket;
use writing::Writing;

/// Uploads the object: the body is the file.
#[utoipa::path(put, path = "/object/{token}", tag = "data plane",
    params(("token" = String, Path, description = "temporary token")),
    request_body(content_type = "application/octet-stream", description = "the file itself"),
    responses((status = 200, description = "stored; with `callback_mode: sync` what the receiver said",
            body = answer::Uploaded),
        (status = 203, description = "stored, but the receiver of a `sync` callback has not answered",
            body = answer::CallbackFailed),
        crate::http::error_responses::UploadErrors))]
pub async fn put(
    State(state): State<AppState>,
    Extension(context): Extension<RequestContext>,
    Path(token): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, GatewayError> {
    upload(&state, &context, &token, &headers, body).await
}

async fn upload(
    state: &AppState,
    context: &RequestContext,
    token: &str,
    headers: &HeaderMap,
    body: Body,
) -> Result<Response, GatewayError> {
    let token = parse(token)?;
    let checksums = Checksums::read(headers)?;
    let declared = body.size_hint().exact();
    let client = context.client(headers, state.public_base(), &token);
    let ticket = state
        .redeemer()
        .admit(&token, Access::Put, declared, client)
        .await?;
    let id = ticket.token_id();
    let begun = match begin(state, &ticket, headers, declared).await {
        Ok(begun) => begun,
        Err(error) => {
            ticket.release().await.map_err(GatewayError::store)?;
            return Err(error);
        }
    };
    let mut writing = Writing {
        upload: Some(begun.upload),
        ticket: Some(ticket),
        detached_tasks: state.redeemer().detached_tasks().clone(),
    };
    let size = match receive(&mut writing, body, checksums).await {
        Ok(size) => size,
        Err(error) => {
            writing.undo().await;
            return Err(error);
        }
    };
    let intent = Intent {
        size,
        caller: client.caller.into(),
        at_ms: state.redeemer().clock().now_ms(),
    };
    // From here on it has to be ended, whether the client stays or not.
    let finishing =
        state
            .redeemer()
            .detached_tasks()
            .spawn(finish::finish(writing, begun.target, intent));
    let finished = finishing
        .await
        .map_err(|e| GatewayError::Internal(format!("finishing an upload: {e}")))??;
    Ok(about(answer::of(finished, context.request_id()), id))
}

/// An upload that has been let in.
struct Begun {
    target: finish::Target,
    upload: Box<dyn Upload>,
}

/// Checks the target and opens it, before a byte of the body is asked for.
async fn begin(
    state: &AppState,
    ticket: &Ticket,
    headers: &HeaderMap,
    declared: Option<u64>,
) -> Result<Begun, GatewayError> {
    // A part would become the whole (RFC 9110 §14.5).
    if headers.contains_key(header::CONTENT_RANGE) {
        return Err(GatewayError::BadRequest(
            "a part of a file cannot be stored: send the whole without Content-Range".into(),
        ));
    }
    let record = &ticket.record;
    let bucket = Arc::clone(bucket(state, &record.bucket)?);
    let Representation {
        content_type,
        content_encoding,
        content_language,
    } = Representation::read(headers, record, bucket.capabilities())?;
    let options = PutOptions {
        content_type: content_type.clone(),
        content_encoding,
        content_language,
        content_length: declared,
        must_not_exist: check_target(bucket.as_ref(), record, headers).await?,
        marker: ticket.marker(),
        fence: ticket.fence(),
        recorder: ticket.recorder(state.redeemer().clock()),
    };
    let upload = bucket.put(&record.key, options).await;
    Ok(Begun {
        upload: upload.map_err(GatewayError::writing)?,
        target: finish::Target {
            bucket,
            content_type: content_type.unwrap_or_default(),
            deliverer: Arc::clone(state.deliverer()),
        },
    })
}

/// Refuses early what could not be stored in the end; returns whether the key must be free.
async fn check_target(
    bucket: &dyn ObjectBackend,
    record: &TokenRecord,
    headers: &HeaderMap,
) -> Result<bool, GatewayError> {
    let conditions = range::conditions(headers)?;
    let must_not_exist = !record.allow_overwrite || conditions.if_none_match.is_some();
    if !must_not_exist && conditions.is_empty() {
        return Ok(false);
    }
    let options = GetOptions {
        range: None,
        conditions,
    };
    match bucket.head(&record.key, &options).await {
        Ok(_) if must_not_exist => Err(GatewayError::PreconditionFailed),
        Ok(_) => Ok(false),
        Err(error) if error.kind == ErrorKind::NotFound => {
            if options.conditions.if_match.is_some() {
                return Err(GatewayError::PreconditionFailed);
            }
            Ok(must_not_exist)
        }
        Err(error) if error.kind == ErrorKind::NotModified => Err(GatewayError::PreconditionFailed),
        Err(error) => Err(GatewayError::storage(error)),
    }
}

/// Moves the body into storage and returns its size; the last step but making it visible.
async fn receive(
    writing: &mut Writing,
    mut body: Body,
    mut checksums: Checksums,
) -> Result<u64, GatewayError> {
    let (Some(upload), Some(ticket)) = (&mut writing.upload, &writing.ticket) else {
        return Err(GatewayError::Internal("an upload that has ended".into()));
    };
    let in_flight = InFlight::start(Direction::Upload);
    let limit = ticket.record.size.unwrap_or(u64::MAX);
    let mut size = 0;
    loop {
        let frame = match body.frame().await {
            None => break,
            Some(Err(error)) => return Err(json::broken_body(&error)),
            Some(Ok(frame)) => frame,
        };
        let Ok(piece) = frame.into_data() else {
            continue;
        };
        size += piece.len() as u64;
        if size > limit {
            return Err(GatewayError::SizeExceeded(format!(
                "this token takes at most {limit} bytes"
            )));
        }
        if ticket.is_lost() {
            return Err(lost(&ticket.lease()).await);
        }
        in_flight.add_bytes(piece.len() as u64);
        checksums.update(&piece);
        if let Err(error) = upload.write(piece).await {
            return Err(match ticket.is_lost() {
                true => lost(&ticket.lease()).await,
                false => GatewayError::writing(error),
            });
        }
    }
    if !checksums.agree() {
        return Err(GatewayError::BadDigest);
    }
    Ok(size)
}
