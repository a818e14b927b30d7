//! What an uploader is told when the object is stored.

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use super::super::response::quoted;
use super::finish::Finished;

/// The answer of an upload.
#[derive(Serialize, ToSchema)]
pub struct Uploaded {
    pub etag: String,
    /// Bytes.
    pub size: u64,
}

/// The answer of an upload whose callback failed (`callback_mode: sync`).
#[derive(Serialize, ToSchema)]
pub struct CallbackFailed {
    /// `callback_failed`.
    pub code: String,
    /// How it failed, and whether it is tried again.
    pub message: String,
    /// As in the header `X-Request-Id`.
    pub request_id: String,
    pub etag: String,
    /// Bytes.
    pub size: u64,
}

/// The gateway's own answer, or that of the callback's receiver, or why there is none.
pub fn of(finished: Finished, request_id: &str) -> Response {
    let Finished { stored, answer } = finished;
    let mut response = match answer {
        None => Json(Uploaded {
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
            let body = json!({
                "code": "callback_failed",
                "message": format!(
                    "the object is stored, but its callback failed ({}); {then}",
                    not_answered.failure
                ),
                "request_id": request_id,
                "etag": stored.etag,
                "size": stored.size,
            });
            (StatusCode::NON_AUTHORITATIVE_INFORMATION, Json(body)).into_response()
        }
    };
    let etag = HeaderValue::from_str(&quoted(&stored.etag)).ok();
    let headers = response.headers_mut();
    headers.extend(etag.map(|etag| (header::ETAG, etag)));
    response
}
