//! The body of a download, of exactly the announced length.

use bytes::Bytes;
use futures_util::stream::{self, BoxStream, StreamExt};

use crate::error::{BackendError, ErrorKind, Result};
use crate::object_backend::remote::redact::{error_chain, redact};
use crate::object_backend::remote::timeouts::RESPONSE_TIMEOUT;

/// Exactly `expected` bytes, or an error. `None`: all bytes up to the last chunk of a chunked body.
pub fn chunks(
    response: reqwest::Response,
    expected: Option<u64>,
) -> BoxStream<'static, Result<Bytes>> {
    let state = (response, expected);
    stream::try_unfold(state, |(mut response, left)| async move {
        if left == Some(0) {
            return Ok(None);
        }
        loop {
            let Ok(next) = tokio::time::timeout(RESPONSE_TIMEOUT, response.chunk()).await else {
                return Err(BackendError::new(ErrorKind::Timeout, "get"));
            };
            let Some(chunk) = next.map_err(broken)? else {
                return match left {
                    None => Ok(None),
                    Some(_) => Err(invalid("storage ended the body early")),
                };
            };
            if chunk.is_empty() {
                continue;
            }
            let length = chunk.len() as u64;
            let left = match left.map(|left| left.checked_sub(length)) {
                None => None,
                Some(Some(left)) => Some(left),
                Some(None) => return Err(invalid("storage sends more bytes than it announced")),
            };
            return Ok(Some((chunk, (response, left))));
        }
    })
    .boxed()
}

fn broken(error: reqwest::Error) -> BackendError {
    let message = redact(&error_chain(&error.without_url()));
    BackendError::with_source(ErrorKind::Unavailable, "get", message)
}

fn invalid(what: &'static str) -> BackendError {
    BackendError::with_source(ErrorKind::Upstream, "get", what)
}
