//! Responses to a HEAD or GET of an object, checked against themselves and against the request.
//!
//! Client libraries read responses each in their own way: they take a part's length for the object's
//! size, or fail for one optional header. An adapter therefore lets its library build and sign the
//! request, and the gateway reads the response before the library sees it ([`capture`]).
//!
//! - [`headers`]: headers to [`ObjectMeta`]; [`content_range`]: `Content-Range`.
//! - [`body`]: the body as a stream; [`error_response`]: responses without an object.

mod body;
pub mod capture;
mod content_range;
pub mod error_response;
pub mod headers;

use std::ops::Range;

use http::header::{
    CONTENT_LENGTH, CONTENT_RANGE, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_UNMODIFIED_SINCE,
    RANGE, TRANSFER_ENCODING,
};
use http::request::Parts;
use http::{HeaderMap, StatusCode};

use self::content_range::ContentRange;
use self::headers::{is_proxy_page, object_meta, single};
use super::not_sent::is_not_sent;
use super::redact::{error_chain, redact};
use crate::error::{BackendError, ErrorKind, Result};
use crate::object_backend::{ByteRange, GetResult, ObjectMeta};

/// A response with status 200 or 206 whose body is still unread.
pub struct ObjectResponse {
    operation: &'static str,
    response: reqwest::Response,
}

/// What a request asked for, as far as it decides the meaning of an error.
#[derive(Debug, Clone, Copy)]
struct RequestInfo {
    operation: &'static str,
    ranged: bool,
    conditional: bool,
}

impl RequestInfo {
    fn of(request: &Parts) -> Self {
        let has = |names: &[http::HeaderName]| {
            let mut names = names.iter();
            names.any(|name| request.headers.contains_key(name))
        };
        Self {
            operation: match request.method {
                http::Method::HEAD => "head",
                _ => "get",
            },
            ranged: has(&[RANGE]),
            conditional: has(&[
                IF_MATCH,
                IF_NONE_MATCH,
                IF_MODIFIED_SINCE,
                IF_UNMODIFIED_SINCE,
            ]),
        }
    }
}

/// Sends one HEAD or GET of an object, once. Has no time limit.
///
/// # Errors
/// [`ErrorKind::Unavailable`], [`ErrorKind::NoAnswer`] and [`ErrorKind::Busy`]: storage did not
/// begin to answer.
pub async fn send(client: &reqwest::Client, request: Parts) -> Result<ObjectResponse> {
    let asked = RequestInfo::of(&request);
    let url = request.uri.to_string();
    let sent = client.request(request.method, url);
    let response = sent.headers(request.headers).send().await;
    let response = response.map_err(|error| {
        let kind = match is_not_sent(&error) {
            true => ErrorKind::Unavailable,
            false => ErrorKind::NoAnswer,
        };
        let message = redact(&error_chain(&error.without_url()));
        BackendError::with_source(kind, asked.operation, message)
    })?;
    match response.status() {
        StatusCode::OK | StatusCode::PARTIAL_CONTENT if is_proxy_page(response.headers()) => {
            Err(BackendError::with_source(
                ErrorKind::NoAnswer,
                asked.operation,
                "an HTML page without an entity tag in place of storage's response",
            ))
        }
        StatusCode::OK | StatusCode::PARTIAL_CONTENT => Ok(ObjectResponse {
            operation: asked.operation,
            response,
        }),
        _ => Err(error_response::read(response, asked).await),
    }
}

impl ObjectResponse {
    /// The response to a HEAD.
    pub fn into_meta(self) -> Result<ObjectMeta> {
        if self.response.status() != StatusCode::OK {
            return Err(self.invalid("a HEAD was answered with 206"));
        }
        let headers = self.response.headers();
        Ok(object_meta(headers, content_length(headers)))
    }

    /// The response to a GET of the range `asked`, or of the whole object.
    ///
    /// # Errors
    /// [`ErrorKind::Upstream`] where the response holds another range or does not name it (RFC 9110
    /// §15.3.7), or where the end of the body cannot be told from a broken connection.
    pub fn into_result(self, asked: Option<ByteRange>) -> Result<GetResult> {
        let (range, size) = match (self.response.status(), asked) {
            (StatusCode::PARTIAL_CONTENT, Some(asked)) => self.partial(asked)?,
            (StatusCode::PARTIAL_CONTENT, None) => {
                return Err(self.invalid("206 was answered, though no range was requested"));
            }
            // The whole object, also in place of a range (RFC 9110 §14.2).
            (_, asked) => self.whole(asked)?,
        };
        let carried = range.as_ref().map(|range| range.end - range.start);
        Ok(GetResult {
            meta: object_meta(self.response.headers(), size),
            range,
            body: body::chunks(self.response, carried.or(size)),
        })
    }

    /// The range in the body, and the size of the object where storage tells it.
    fn partial(&self, asked: ByteRange) -> Result<(Option<Range<u64>>, Option<u64>)> {
        let headers = self.response.headers();
        let header = single(headers, &CONTENT_RANGE);
        let Some(received) = header.and_then(ContentRange::parse) else {
            let what = "206 was answered without a readable range";
            return Err(self.invalid(what));
        };
        if !received.answers(asked) {
            let what =
                format!("another range was answered than was requested: {asked:?}, {received:?}");
            return Err(self.invalid(what));
        }
        let carried = received.span.end - received.span.start;
        if content_length(headers).is_some_and(|length| length != carried) {
            return Err(self.invalid(format!(
                "the body has another length than its range: {received:?}"
            )));
        }
        Ok((Some(received.span), received.total))
    }

    /// A client library may drop the range `0-`: the whole object answers it.
    fn whole(&self, asked: Option<ByteRange>) -> Result<(Option<Range<u64>>, Option<u64>)> {
        let size = self.size()?;
        let from_the_start = ByteRange::From {
            first: 0,
            last: None,
        };
        match size {
            Some(0) if asked == Some(from_the_start) => Err(BackendError::new(
                ErrorKind::RangeNotSatisfiable { size },
                self.operation,
            )),
            Some(end) if asked == Some(from_the_start) => Ok((Some(0..end), size)),
            Some(_) | None => Ok((None, size)),
        }
    }

    /// `None` where the body is chunked.
    fn size(&self) -> Result<Option<u64>> {
        let headers = self.response.headers();
        match content_length(headers) {
            Some(length) => Ok(Some(length)),
            None if headers.contains_key(TRANSFER_ENCODING) => Ok(None),
            None => Err(self.invalid("storage sends neither Content-Length nor chunks")),
        }
    }

    fn invalid(&self, what: impl Into<String>) -> BackendError {
        BackendError::with_source(ErrorKind::Upstream, self.operation, what.into())
    }
}

/// `Content-Length`; `None` where the body is chunked.
fn content_length(headers: &HeaderMap) -> Option<u64> {
    if headers.contains_key(TRANSFER_ENCODING) {
        return None;
    }
    single(headers, &CONTENT_LENGTH)?.parse().ok()
}
