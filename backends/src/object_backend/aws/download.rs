//! The body of a download.

use std::ops::Range;

use aws_sdk_s3::operation::get_object::GetObjectOutput;
use aws_sdk_s3::primitives::ByteStream;
use bytes::Bytes;
use futures_util::stream::{self, BoxStream, StreamExt};

use super::client::SILENCE;
use super::error::{body_error, strange};
use super::meta::{content_range, length, of_get};
use crate::error::{BackendError, ErrorKind, Result};
use crate::object_backend::download::outside;
use crate::object_backend::{ByteRange, GetResult};

/// Storage's answer as a result, if it is what `range` asked for.
pub fn result(answer: GetObjectOutput, range: Option<ByteRange>) -> Result<GetResult> {
    let carried = length(answer.content_length());
    let (size, span) = match (answer.content_range().and_then(content_range), carried) {
        (Some((span, size)), _) => (size, span),
        (None, Some(size)) => (size, 0..size),
        (None, None) => {
            return Err(strange(
                "get",
                "storage does not say how long the object is",
            ));
        }
    };
    let wanted = match range {
        None => None,
        Some(range) => Some(range.resolve(size).ok_or_else(|| outside(Some(size)))?),
    };
    // The whole in place of a range would be taken for the range.
    if span != wanted.clone().unwrap_or(0..size) {
        return Err(strange(
            "get",
            "storage sent other bytes than were asked for",
        ));
    }
    Ok(GetResult {
        meta: of_get(&answer, size),
        range: wanted,
        body: pieces(answer.body, span),
    })
}

/// Exactly the bytes of `span`, or an error.
fn pieces(body: ByteStream, span: Range<u64>) -> BoxStream<'static, Result<Bytes>> {
    let state = (body, span.end - span.start);
    stream::try_unfold(state, |(mut body, left)| async move {
        if left == 0 {
            return Ok(None);
        }
        loop {
            let Ok(next) = tokio::time::timeout(SILENCE, body.next()).await else {
                return Err(BackendError::new(ErrorKind::Timeout, "get"));
            };
            let Some(read) = next else {
                return Err(strange("get", "storage ended the body early"));
            };
            let mut piece = read.map_err(|error| body_error(&error))?;
            // More than was announced cannot be sent.
            piece.truncate(usize::try_from(left).unwrap_or(usize::MAX));
            if !piece.is_empty() {
                let left = left - piece.len() as u64;
                return Ok(Some((piece, (body, left))));
            }
        }
    })
    .boxed()
}
