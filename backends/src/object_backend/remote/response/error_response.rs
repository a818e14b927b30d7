//! Responses without an object, to the kind of error that a caller branches on.

use http::StatusCode;
use http::header::CONTENT_RANGE;

use super::RequestInfo;
use super::headers::{is_html, retry_after, single};
use crate::error::{BackendError, ErrorKind};
use crate::object_backend::remote::redact::{redact, xml_element};

/// The code and the message of storage stand within the first bytes.
const MAX_ERROR_BYTES: usize = 16 * 1024;

pub(super) async fn read(mut response: reqwest::Response, asked: RequestInfo) -> BackendError {
    let status = response.status();
    let mut body = Vec::new();
    while body.len() < MAX_ERROR_BYTES {
        match response.chunk().await {
            Ok(Some(chunk)) => body.extend_from_slice(&chunk),
            Ok(None) | Err(_) => break,
        }
    }
    let body = String::from_utf8_lossy(&body);
    let code = xml_element(&body, "Code").unwrap_or_default();
    let kind = kind(&response, asked, code);
    if kind.is_outcome() {
        return BackendError::new(kind, asked.operation);
    }
    let message = xml_element(&body, "Message").unwrap_or_default();
    let message = redact(&format!("{} {code}: {message}", status.as_u16()));
    BackendError::with_source(kind, asked.operation, message)
}

fn kind(response: &reqwest::Response, asked: RequestInfo, code: &str) -> ErrorKind {
    let headers = response.headers();
    match response.status() {
        StatusCode::NOT_MODIFIED if asked.conditional => ErrorKind::NotModified,
        StatusCode::PRECONDITION_FAILED if asked.conditional => ErrorKind::PreconditionFailed,
        StatusCode::RANGE_NOT_SATISFIABLE if asked.ranged => {
            let range = single(headers, &CONTENT_RANGE);
            let size = range.and_then(|range| range.strip_prefix("bytes */")?.trim().parse().ok());
            ErrorKind::RangeNotSatisfiable { size }
        }
        // The bucket is missing, or the response is a proxy's page.
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

/// Another request is changing the same object.
pub fn is_passing_conflict(code: &str) -> bool {
    matches!(code, "ConditionalRequestConflict" | "OperationAborted")
}
