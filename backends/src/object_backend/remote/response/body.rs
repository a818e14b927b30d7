//! The body of a download.

use bytes::Bytes;
use futures_util::stream::{self, BoxStream, StreamExt};

use crate::error::{BackendError, ErrorKind, Result};
use crate::object_backend::remote::redact::{chain, for_log};
use crate::object_backend::remote::timeouts::RESPONSE_TIMEOUT;

/// Exactly `expected` bytes, or an error; where no length was announced, all that come before the
/// last chunk's mark.
pub fn pieces(
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
            let Some(piece) = next.map_err(broken)? else {
                return match left {
                    None => Ok(None),
                    Some(_) => Err(strange("storage ended the body early")),
                };
            };
            if piece.is_empty() {
                continue;
            }
            let length = piece.len() as u64;
            let left = match left.map(|left| left.checked_sub(length)) {
                None => None,
                Some(Some(left)) => Some(left),
                Some(None) => return Err(strange("storage sends more than it announced")),
            };
            return Ok(Some((piece, (response, left))));
        }
    })
    .boxed()
}

fn broken(error: reqwest::Error) -> BackendError {
    let words = for_log(&chain(&error.without_url()));
    BackendError::with_source(ErrorKind::Unavailable, "get", words)
}

fn strange(what: &'static str) -> BackendError {
    BackendError::with_source(ErrorKind::Upstream, "get", what)
}
