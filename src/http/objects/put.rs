//! `PUT /object/{token}`: takes the body through the upload protocol (`tokens::upload`).

use std::sync::Arc;

use asset_gateway_backends::object_backend::PutOptions;
use asset_gateway_backends::token_store::{Access, TokenRecord};
use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use http_body::Body as _;
use http_body_util::BodyExt;
use serde::Serialize;
use utoipa::ToSchema;

use super::checksum::Checksums;
use super::response::{about, quoted};
use super::{range, representation};
use crate::error::GatewayError;
use crate::http::json::broken_body;
use crate::http::request_context::RequestContext;
use crate::http::state::AppState;
use crate::tokens::TokenSecret;
use crate::tokens::upload::Uploaded;
use crate::tokens::upload::receiving::{NewObject, Receiving};

/// The answer of an upload.
#[derive(Serialize, ToSchema)]
#[schema(as = Uploaded)]
pub struct UploadAnswer {
    pub etag: String,
    /// Bytes.
    pub size: u64,
}

/// The answer of an upload whose callback failed (`callback_mode: sync`).
#[derive(Serialize, ToSchema)]
pub struct CallbackFailed {
    /// `callback_failed`.
    pub code: &'static str,
    /// How it failed, and whether it is tried again.
    pub message: String,
    /// As in the header `X-Request-Id`.
    pub request_id: String,
    pub etag: String,
    /// Bytes.
    pub size: u64,
}

/// Uploads the object: the body is the file.
#[utoipa::path(put, path = "/object/{token}", tag = "data plane",
    params(("token" = String, Path, description = "temporary token")),
    request_body(content_type = "application/octet-stream", description = "the file itself"),
    responses((status = 200, description = "stored; with `callback_mode: sync` what the receiver said",
            body = UploadAnswer),
        (status = 203, description = "stored, but the receiver of a `sync` callback has not answered",
            body = CallbackFailed),
        crate::http::error_responses::UploadErrors))]
pub async fn put(
    State(state): State<AppState>,
    Extension(context): Extension<RequestContext>,
    Path(token): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, GatewayError> {
    let token = TokenSecret::parse(&token).ok_or(GatewayError::TokenNotFound)?;
    let checksums = Checksums::read(&headers)?;
    let length = body.size_hint().exact();
    let client = context.client(&headers, &state.public_base, &token);
    let ticket = state
        .redeemer
        .admit(&token, Access::Put, length, client)
        .await?;
    let token_id = ticket.token_id();
    let object = match new_object(&state, &ticket.record, &headers, length) {
        Ok(object) => object,
        Err(error) => {
            ticket.release().await.map_err(GatewayError::store)?;
            return Err(error);
        }
    };
    let mut upload = Receiving::begin(ticket, object).await?;
    if let Err(error) = receive(&mut upload, body, checksums).await {
        upload.abort().await;
        return Err(error);
    }
    let deliverer = Arc::clone(&state.deliverer);
    let uploaded = upload.complete(client.caller.into(), deliverer).await?;
    Ok(about(answer(uploaded, context.request_id()), token_id))
}

/// What the headers say of the object, before the client is asked for its body.
fn new_object(
    state: &AppState,
    record: &TokenRecord,
    headers: &HeaderMap,
    content_length: Option<u64>,
) -> Result<NewObject, GatewayError> {
    // A part would become the whole object (RFC 9110 §14.5).
    if headers.contains_key(header::CONTENT_RANGE) {
        return Err(GatewayError::BadRequest(
            "a part of a file cannot be stored: send the whole without Content-Range".into(),
        ));
    }
    let bucket = Arc::clone(state.bucket(&record.bucket)?);
    let representation = representation::read(headers, record, bucket.capabilities())?;
    Ok(NewObject {
        bucket,
        options: PutOptions {
            content_length,
            ..representation
        },
        preconditions: range::conditions(headers)?,
    })
}

/// Moves the body into storage, and checks it against the checksums that came with it.
async fn receive(
    upload: &mut Receiving,
    mut body: Body,
    mut checksums: Checksums,
) -> Result<(), GatewayError> {
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| broken_body(&error))?;
        if let Ok(chunk) = frame.into_data() {
            checksums.update(&chunk);
            upload.write(chunk).await?;
        }
    }
    match checksums.matches() {
        true => Ok(()),
        false => Err(GatewayError::BadDigest),
    }
}

/// Answers with what was stored, or with `callback_mode: sync` with what the receiver answered, or why
/// there is no such answer.
fn answer(uploaded: Uploaded, request_id: &str) -> Response {
    let Uploaded { stored, callback } = uploaded;
    let mut response = match callback {
        None => Json(UploadAnswer {
            etag: stored.etag.clone(),
            size: stored.size,
        })
        .into_response(),
        Some(Ok(body)) => {
            let json = HeaderValue::from_static("application/json");
            ([(header::CONTENT_TYPE, json)], body).into_response()
        }
        Some(Err(not_answered)) => {
            let then = match not_answered.will_retry {
                true => "it is tried again",
                false => "it is given up",
            };
            let body = CallbackFailed {
                code: "callback_failed",
                message: format!(
                    "the object is stored, but its callback failed ({}); {then}",
                    not_answered.failure
                ),
                request_id: request_id.to_owned(),
                etag: stored.etag.clone(),
                size: stored.size,
            };
            (StatusCode::NON_AUTHORITATIVE_INFORMATION, Json(body)).into_response()
        }
    };
    let etag = HeaderValue::from_str(&quoted(&stored.etag)).ok();
    let headers = response.headers_mut();
    headers.extend(etag.map(|etag| (header::ETAG, etag)));
    response
}
