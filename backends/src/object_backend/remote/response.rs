//! What storage answers to a GET or HEAD of an object, believed as far as it agrees with itself and
//! with what was asked.
//!
//! Client libraries of storage read such an answer each in its own way: they make a size up from a
//! part's length, or give a whole answer up for one optional header. So an adapter lets its library
//! build and sign the request, and takes the answer here, before the library sees it
//! ([`capture`]).

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
use self::headers::{is_page, object_meta, single};
use super::not_sent::is_unsent;
use super::redact::{chain, for_log};
use crate::error::{BackendError, ErrorKind, Result};
use crate::object_backend::{ByteRange, GetResult, ObjectMeta};

/// The head of an answer with status 200 or 206; its body is still to be read.
pub struct Answer {
    operation: &'static str,
    response: reqwest::Response,
}

/// What the request was, as far as an error can be an answer to it.
#[derive(Debug, Clone, Copy)]
struct Asked {
    operation: &'static str,
    ranged: bool,
    conditional: bool,
}

impl Asked {
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

/// Sends one GET or HEAD of an object, once. Has no time limit.
///
/// # Errors
/// [`ErrorKind::Unavailable`], [`ErrorKind::NoAnswer`] and [`ErrorKind::Busy`]: storage did not
/// begin to answer.
pub async fn exchange(client: &reqwest::Client, request: Parts) -> Result<Answer> {
    let asked = Asked::of(&request);
    let url = request.uri.to_string();
    let sent = client.request(request.method, url);
    let response = sent.headers(request.headers).send().await;
    let response = response.map_err(|error| {
        let kind = match is_unsent(&error) {
            true => ErrorKind::Unavailable,
            false => ErrorKind::NoAnswer,
        };
        let words = for_log(&chain(&error.without_url()));
        BackendError::with_source(kind, asked.operation, words)
    })?;
    match response.status() {
        StatusCode::OK | StatusCode::PARTIAL_CONTENT if is_page(response.headers()) => {
            Err(BackendError::with_source(
                ErrorKind::NoAnswer,
                asked.operation,
                "an HTML page without an entity tag in place of storage's answer",
            ))
        }
        StatusCode::OK | StatusCode::PARTIAL_CONTENT => Ok(Answer {
            operation: asked.operation,
            response,
        }),
        _ => Err(error_response::of(response, asked).await),
    }
}

impl Answer {
    /// To a HEAD.
    pub fn into_meta(self) -> Result<ObjectMeta> {
        if self.response.status() != StatusCode::OK {
            return Err(self.strange("a part was answered to a HEAD"));
        }
        let headers = self.response.headers();
        Ok(object_meta(headers, length(headers)))
    }

    /// To a GET of `asked`, or of the whole.
    ///
    /// # Errors
    /// [`ErrorKind::Upstream`] where another part came than was asked for, or nobody can say which
    /// (RFC 9110 §15.3.7), or where the body's end cannot be told from a broken connection.
    pub fn into_result(self, asked: Option<ByteRange>) -> Result<GetResult> {
        let (range, size) = match (self.response.status(), asked) {
            (StatusCode::PARTIAL_CONTENT, Some(asked)) => self.part(asked)?,
            (StatusCode::PARTIAL_CONTENT, None) => {
                return Err(self.strange("a part was answered, though no range was asked for"));
            }
            // The whole, also in place of a range (RFC 9110 §14.2).
            (_, asked) => self.whole(asked)?,
        };
        let carried = range.as_ref().map(|range| range.end - range.start);
        Ok(GetResult {
            meta: object_meta(self.response.headers(), size),
            range,
            body: body::pieces(self.response, carried.or(size)),
        })
    }

    /// The part that came, and the size of the whole where storage says it.
    fn part(&self, asked: ByteRange) -> Result<(Option<Range<u64>>, Option<u64>)> {
        let headers = self.response.headers();
        let said = single(headers, &CONTENT_RANGE);
        let Some(came) = said.and_then(ContentRange::parse) else {
            let what = "a part was answered that does not say which range it is";
            return Err(self.strange(what));
        };
        if !came.answers(asked) {
            let what =
                format!("another range was answered than was asked for: {asked:?}, {came:?}");
            return Err(self.strange(what));
        }
        let carried = came.span.end - came.span.start;
        if length(headers).is_some_and(|length| length != carried) {
            return Err(self.strange(format!("a part of another length than its range: {came:?}")));
        }
        Ok((Some(came.span), came.total))
    }

    /// The whole is just what `0-` asks for, which a client library may not even send.
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

    /// `None`: the body comes in chunks.
    fn size(&self) -> Result<Option<u64>> {
        let headers = self.response.headers();
        match length(headers) {
            Some(length) => Ok(Some(length)),
            None if headers.contains_key(TRANSFER_ENCODING) => Ok(None),
            None => Err(self.strange("storage does not say where the object ends")),
        }
    }

    fn strange(&self, what: impl Into<String>) -> BackendError {
        BackendError::with_source(ErrorKind::Upstream, self.operation, what.into())
    }
}

/// What `Content-Length` says of the body; `None` where the body comes in chunks.
fn length(headers: &HeaderMap) -> Option<u64> {
    if headers.contains_key(TRANSFER_ENCODING) {
        return None;
    }
    single(headers, &CONTENT_LENGTH)?.parse().ok()
}
