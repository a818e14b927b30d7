//! The HTTP client below OpenDAL: time limits, repeats, and the answers that OpenDAL mixes up.
//!
//! Answers to a GET or HEAD of an object do not come to OpenDAL at all: see
//! [`answer`](crate::object_backend::remote::response).
//!
//! OpenDAL's own layers do not fit: its retry layer resumes a body in the middle without saying
//! which version it has begun with, and repeats the request that makes an upload visible; its
//! time-out layer gives a part of any size the same seconds.

use std::time::Duration;

use futures_util::stream;
use http::HeaderValue;
use http::header::{CONTENT_LENGTH, ETAG};
use http::response::Parts;
use opendal::{Buffer, Error, ErrorKind, HttpBody, HttpTransport, Result};
use opendal_http_transport_reqwest::ReqwestTransport;
use reqwest::{Method, StatusCode};

use super::error::Failure;
use crate::object_backend::remote::acknowledgement::Write;
use crate::object_backend::remote::http_client::http_client;
use crate::object_backend::remote::not_sent::is_unsent;
use crate::object_backend::remote::redact::{element, for_log};
use crate::object_backend::remote::response::headers::retry_after;
use crate::object_backend::remote::response::{capture, exchange};
use crate::object_backend::remote::timeouts::{
    COMPLETE_TIMEOUT, CONNECT_TIMEOUT, RESPONSE_TIMEOUT, part_timeout,
};

type Request = http::Request<Buffer>;
type Response = http::Response<HttpBody>;

/// Pauses before the second and the third try of a request that may be repeated.
const PAUSES: [Duration; 2] = [Duration::from_millis(100), Duration::from_millis(500)];

pub struct Transport {
    client: reqwest::Client,
    library: ReqwestTransport,
}

impl Transport {
    /// Needs a rustls provider that is installed for the process.
    pub fn new() -> reqwest::Result<Self> {
        let client = http_client(CONNECT_TIMEOUT)?;
        Ok(Self {
            library: ReqwestTransport::new(client.clone()),
            client,
        })
    }

    async fn send(&self, request: Request) -> Result<Response> {
        let limit = time_limit(&request);
        // A part that got stuck may go through on another connection; who looks has waited enough.
        let repeat_silence = request.method() == Method::PUT;
        let write = Write::of(request.method(), request.uri().query());
        let answer = async {
            let response = self.library.fetch(request).await.map_err(|error| {
                let text = source_text(&error);
                let failure = match is_unsent(&error) {
                    true => Failure::Unreachable(text),
                    false => Failure::Broken(text),
                };
                failure.into_error(error.is_temporary())
            })?;
            let (parts, body) = buffered(response).await.map_err(|error| {
                Failure::Broken(source_text(&error)).into_error(error.is_temporary())
            })?;
            judged(write, parts, body)
        };
        match tokio::time::timeout(limit, answer).await {
            Ok(result) => result,
            Err(_) => Err(Failure::Silent(limit).into_error(repeat_silence)),
        }
    }
}

impl HttpTransport for Transport {
    async fn fetch(&self, request: Request) -> Result<Response> {
        let looks = matches!(*request.method(), Method::GET | Method::HEAD);
        if looks && capture::is_wanted() {
            let (parts, _) = request.into_parts();
            let answer = exchange(&self.client, parts).await;
            let is_ok = answer.is_ok();
            capture::offer(answer);
            return match is_ok {
                true => Ok(taken()),
                false => Err(Failure::Taken.into_error(false)),
            };
        }
        if !may_repeat(&request) {
            return self.send(request).await;
        }
        for pause in PAUSES {
            match self.send(request.clone()).await {
                Ok(response) if !is_passing(response.status()) => return Ok(response),
                Err(error) if !error.is_temporary() => return Err(error),
                Ok(_) | Err(_) => tokio::time::sleep(pause).await,
            }
        }
        self.send(request).await
    }
}

/// What OpenDAL is told where the caller takes the answer: an object without bytes.
fn taken() -> Response {
    let mut response = Response::new(HttpBody::new(stream::empty(), Some(0)));
    let headers = response.headers_mut();
    headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
    response
}

/// An answer that OpenDAL may see: storage's own, or one that it does not take for a success.
fn judged(write: Option<Write>, mut parts: Parts, body: Buffer) -> Result<Response> {
    let text = || String::from_utf8_lossy(&body.to_bytes()).into_owned();
    match parts.status {
        status @ (StatusCode::BAD_GATEWAY | StatusCode::GATEWAY_TIMEOUT) => {
            return Err(Failure::Between(status.as_u16()).into_error(true));
        }
        status @ (StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) => {
            let text = text();
            let say = |name| element(&text, name).unwrap_or_default();
            let busy = Failure::Busy {
                status: status.as_u16(),
                words: for_log(&format!("{}: {}", say("Code"), say("Message"))),
                retry_after: retry_after(&parts.headers),
            };
            return Err(busy.into_error(true));
        }
        StatusCode::PRECONDITION_FAILED => return Err(Failure::Precondition.into_error(false)),
        _ => {}
    }
    if let Some(write) = write {
        let says_in_body = matches!(write, Write::BeginParts | Write::CompleteParts);
        let judged = match write.check(parts.status, &parts.headers) {
            Ok(()) if says_in_body => write.check_body(parts.status, &text()),
            other => other,
        };
        judged.map_err(|error| Failure::from(error).into_error(true))?;
        write.strip(parts.status, &mut parts.headers);
        match write {
            // OpenDAL knows one success of an upload; storage has others, and an entity tag.
            Write::Object | Write::Part if parts.status.is_success() => {
                parts.status = StatusCode::OK;
            }
            // Of OSS it reads only the header.
            Write::CompleteParts if !parts.headers.contains_key(ETAG) => {
                let tag = element(&text(), "ETag").map(|tag| tag.replace("&quot;", "\""));
                let tag = tag.and_then(|tag| HeaderValue::try_from(tag).ok());
                parts.headers.extend(tag.map(|tag| (ETAG, tag)));
            }
            Write::Object
            | Write::Part
            | Write::BeginParts
            | Write::CompleteParts
            | Write::Remove => {}
        }
    }
    let body = HttpBody::new(stream::iter([Ok(body)]), None);
    Ok(Response::from_parts(parts, body))
}

/// Requests whose repetition changes nothing: looking, deleting, aborting, sending one part again.
///
/// Not what reads an object, which has a rule of its own
/// ([`until_begun`](crate::object_backend::remote::retry::until_begun)). Not what begins an upload (two
/// would begin) nor what completes one (the second try of a success says that the key is taken).
fn may_repeat(request: &Request) -> bool {
    let is_part = || {
        let query = request.uri().query().unwrap_or_default();
        query.contains("partNumber=") && query.contains("uploadId=")
    };
    match *request.method() {
        Method::HEAD | Method::DELETE => true,
        Method::PUT => is_part(),
        _ => false,
    }
}

/// Storage is overloaded or stumbled.
fn is_passing(status: StatusCode) -> bool {
    matches!(status.as_u16(), 429 | 500 | 503)
}

fn time_limit(request: &Request) -> Duration {
    match *request.method() {
        Method::PUT => part_timeout(request.body().len() as u64),
        Method::POST => COMPLETE_TIMEOUT,
        _ => RESPONSE_TIMEOUT,
    }
}

/// Reads a short answer to its end, so that the time limit holds for all of it.
async fn buffered(response: Response) -> Result<(Parts, Buffer)> {
    let (parts, mut body) = response.into_parts();
    let buffer = body.to_buffer().await?;
    Ok((parts, buffer))
}

/// The innermost reason, without OpenDAL's context, which holds the URL.
fn source_text(error: &Error) -> String {
    let mut innermost: &dyn std::error::Error = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    if innermost.is::<Error>() {
        return error.message().to_owned();
    }
    innermost.to_string()
}

impl Failure {
    fn into_error(self, temporary: bool) -> Error {
        Error::new(ErrorKind::Unexpected, "")
            .set_source(self)
            .with_temporary(temporary)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(method: Method, uri: &str, body: usize) -> Request {
        http::Request::builder()
            .method(method)
            .uri(uri)
            .body(Buffer::from(vec![0; body]))
            .expect("a request")
    }

    #[test]
    fn only_harmless_requests_are_repeated() {
        let base = "http://s/b/k";
        let part = "http://s/b/k?partNumber=1&uploadId=x";
        for (method, uri, expected) in [
            (Method::HEAD, base, true),
            (Method::DELETE, base, true),
            (Method::DELETE, "http://s/b/k?uploadId=x", true),
            (Method::PUT, part, true),
            (Method::PUT, base, false),
            (Method::GET, base, false),
            (Method::POST, "http://s/b/k?uploads", false),
            (Method::POST, "http://s/b/k?uploadId=x", false),
        ] {
            assert_eq!(
                may_repeat(&request(method.clone(), uri, 0)),
                expected,
                "{method} {uri}"
            );
        }
    }

    #[test]
    fn a_larger_part_gets_more_time() {
        let seconds = |method, body| time_limit(&request(method, "http://s/", body)).as_secs();
        assert_eq!(seconds(Method::GET, 0), 30);
        assert_eq!(seconds(Method::PUT, 0), 30);
        assert_eq!(seconds(Method::PUT, 8 << 20), 30 + 128);
    }
}
