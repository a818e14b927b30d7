//! Answers that give no object: what a caller can do about each.

use http::StatusCode;
use http::header::CONTENT_RANGE;

use super::Asked;
use super::headers::{is_html, retry_after, single};
use crate::error::{BackendError, ErrorKind};
use crate::object_backend::remote::redact::{element, for_log};

/// Bytes of an error's body that are read: storage's code and message.
const MAX_ERROR: usize = 16 * 1024;

pub(super) async fn of(mut response: reqwest::Response, asked: Asked) -> BackendError {
    let status = response.status();
    let mut body = Vec::new();
    while body.len() < MAX_ERROR {
        match response.chunk().await {
            Ok(Some(piece)) => body.extend_from_slice(&piece),
            Ok(None) | Err(_) => break,
        }
    }
    let body = String::from_utf8_lossy(&body);
    let code = element(&body, "Code").unwrap_or_default();
    let kind = kind(&response, asked, code);
    if kind.is_outcome() {
        return BackendError::new(kind, asked.operation);
    }
    let message = element(&body, "Message").unwrap_or_default();
    let words = for_log(&format!("{} {code}: {message}", status.as_u16()));
    BackendError::with_source(kind, asked.operation, words)
}

fn kind(response: &reqwest::Response, asked: Asked, code: &str) -> ErrorKind {
    let headers = response.headers();
    match response.status() {
        StatusCode::NOT_MODIFIED if asked.conditional => ErrorKind::NotModified,
        StatusCode::PRECONDITION_FAILED if asked.conditional => ErrorKind::PreconditionFailed,
        StatusCode::RANGE_NOT_SATISFIABLE if asked.ranged => {
            let said = single(headers, &CONTENT_RANGE);
            let size = said.and_then(|said| said.strip_prefix("bytes */")?.trim().parse().ok());
            ErrorKind::RangeNotSatisfiable { size }
        }
        // Missing, but not the object; or not in storage's words.
        StatusCode::NOT_FOUND if code == "NoSuchBucket" || is_html(headers) => ErrorKind::Upstream,
        StatusCode::NOT_FOUND => ErrorKind::NotFound,
        StatusCode::BAD_REQUEST if code == "KeyTooLongError" => ErrorKind::InvalidKey,
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => ErrorKind::Busy {
            retry_after: retry_after(headers),
        },
        StatusCode::CONFLICT if is_passing_conflict(code) => ErrorKind::Busy { retry_after: None },
        StatusCode::BAD_GATEWAY | StatusCode::GATEWAY_TIMEOUT => ErrorKind::NoAnswer,
        _ => ErrorKind::Upstream,
    }
}

/// Somebody else is at the same object just now.
pub fn is_passing_conflict(code: &str) -> bool {
    matches!(code, "ConditionalRequestConflict" | "OperationAborted")
}
