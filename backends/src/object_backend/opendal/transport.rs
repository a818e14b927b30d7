//! The HTTP client below OpenDAL: time limits, retries, signatures of OSS, and checks of responses.
//!
//! Responses to a HEAD or GET of an object go past OpenDAL: see
//! [`response`](crate::object_backend::remote::response).
//!
//! OpenDAL's own layers do not fit. Its retry layer resumes a body without checking the version, and
//! repeats the request that makes an upload visible. Its timeout layer gives every part the same time,
//! whatever its size.

use std::time::Duration;

use futures_util::stream;
use http::HeaderValue;
use http::header::{CONTENT_LENGTH, ETAG};
use http::response::Parts;
use opendal::{Buffer, Error, ErrorKind, HttpBody, HttpTransport, Result};
use opendal_http_transport_reqwest::ReqwestTransport;
use reqwest::{Method, StatusCode};

use super::error::Failure;
use super::signature::sign;
use crate::object_backend::remote::acknowledgement::Write;
use crate::object_backend::remote::http_client::http_client;
use crate::object_backend::remote::not_sent::is_not_sent;
use crate::object_backend::remote::redact::{redact, xml_element};
use crate::object_backend::remote::response::headers::retry_after;
use crate::object_backend::remote::response::{self, capture};
use crate::object_backend::remote::retry::RETRY_DELAYS;
use crate::object_backend::remote::timeouts::{
    COMPLETE_TIMEOUT, CONNECT_TIMEOUT, RESPONSE_TIMEOUT, part_timeout,
};
use crate::signing::oss_v4::Signer;

type Request = http::Request<Buffer>;
type Response = http::Response<HttpBody>;

pub struct Transport {
    client: reqwest::Client,
    library: ReqwestTransport,
    /// `None` where OpenDAL signs.
    signer: Option<Signer>,
}

impl Transport {
    /// Needs a rustls provider that is installed for the process.
    pub fn new(signer: Option<Signer>) -> reqwest::Result<Self> {
        let client = http_client(CONNECT_TIMEOUT)?;
        Ok(Self {
            library: ReqwestTransport::new(client.clone()),
            client,
            signer,
        })
    }

    fn signed(&self, request: Request) -> Result<Request> {
        match &self.signer {
            Some(signer) => sign(signer, request),
            None => Ok(request),
        }
    }

    async fn send(&self, request: Request) -> Result<Response> {
        let request = self.signed(request)?;
        let limit = time_limit(&request);
        // A part that timed out may go through on another connection; other callers have waited enough.
        let repeat_timeout = request.method() == Method::PUT;
        let write = Write::of(request.method(), request.uri().query());
        let response = async {
            let response = self.library.fetch(request).await.map_err(|error| {
                let text = source_text(&error);
                let failure = match is_not_sent(&error) {
                    true => Failure::Unreachable(text),
                    false => Failure::Broken(text),
                };
                failure.into_error(error.is_temporary())
            })?;
            let (parts, body) = buffered(response).await.map_err(|error| {
                Failure::Broken(source_text(&error)).into_error(error.is_temporary())
            })?;
            check_response(write, parts, body)
        };
        match tokio::time::timeout(limit, response).await {
            Ok(result) => result,
            Err(_) => Err(Failure::TimedOut(limit).into_error(repeat_timeout)),
        }
    }
}

impl HttpTransport for Transport {
    async fn fetch(&self, request: Request) -> Result<Response> {
        let reads = matches!(*request.method(), Method::GET | Method::HEAD);
        if reads && capture::is_wanted() {
            let (parts, _) = self.signed(request)?.into_parts();
            let response = response::send(&self.client, parts).await;
            let is_ok = response.is_ok();
            capture::offer(response);
            return match is_ok {
                true => Ok(empty_object()),
                false => Err(Failure::Captured.into_error(false)),
            };
        }
        if !may_repeat(&request) {
            return self.send(request).await;
        }
        for delay in RETRY_DELAYS {
            match self.send(request.clone()).await {
                Ok(response) if !is_passing(response.status()) => return Ok(response),
                Err(error) if !error.is_temporary() => return Err(error),
                Ok(_) | Err(_) => tokio::time::sleep(delay).await,
            }
        }
        self.send(request).await
    }
}

/// What OpenDAL sees of a captured response.
fn empty_object() -> Response {
    let mut response = Response::new(HttpBody::new(stream::empty(), Some(0)));
    let headers = response.headers_mut();
    headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
    response
}

/// Lets OpenDAL see only responses of storage itself, in a form that OpenDAL reads as they are meant.
fn check_response(write: Option<Write>, mut parts: Parts, body: Buffer) -> Result<Response> {
    let text = || String::from_utf8_lossy(&body.to_bytes()).into_owned();
    match parts.status {
        status @ (StatusCode::BAD_GATEWAY | StatusCode::GATEWAY_TIMEOUT) => {
            return Err(Failure::Proxy(status.as_u16()).into_error(true));
        }
        status @ (StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) => {
            let text = text();
            let text_of = |name| xml_element(&text, name).unwrap_or_default();
            let busy = Failure::Busy {
                status: status.as_u16(),
                message: redact(&format!("{}: {}", text_of("Code"), text_of("Message"))),
                retry_after: retry_after(&parts.headers),
            };
            return Err(busy.into_error(true));
        }
        StatusCode::PRECONDITION_FAILED => return Err(Failure::Precondition.into_error(false)),
        _ => {}
    }
    if let Some(write) = write {
        let has_body = matches!(write, Write::CreateMultipart | Write::CompleteMultipart);
        let checked = match write.check(parts.status, &parts.headers) {
            Ok(()) if has_body => write.check_body(parts.status, &text()),
            other => other,
        };
        checked.map_err(|error| Failure::from(error).into_error(true))?;
        write.strip(parts.status, &mut parts.headers);
        match write {
            // OpenDAL takes only 200 for a success.
            Write::PutObject | Write::UploadPart if parts.status.is_success() => {
                parts.status = StatusCode::OK;
            }
            // For OSS, OpenDAL reads the entity tag only from the header.
            Write::CompleteMultipart if !parts.headers.contains_key(ETAG) => {
                let tag = xml_element(&text(), "ETag").map(|tag| tag.replace("&quot;", "\""));
                let tag = tag.and_then(|tag| HeaderValue::try_from(tag).ok());
                parts.headers.extend(tag.map(|tag| (ETAG, tag)));
            }
            Write::PutObject
            | Write::UploadPart
            | Write::CreateMultipart
            | Write::CompleteMultipart
            | Write::Delete => {}
        }
    }
    let body = HttpBody::new(stream::iter([Ok(body)]), None);
    Ok(Response::from_parts(parts, body))
}

/// Idempotent requests: HEAD, delete, abort, one part.
///
/// A GET has a [rule of its own](crate::object_backend::remote::retry). CreateMultipartUpload would
/// begin a second upload. A repeated CompleteMultipartUpload or PUT would find the key taken.
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

/// Storage is overloaded or had a passing error.
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

/// Reads a short response to its end, so that the time limit covers all of it.
async fn buffered(response: Response) -> Result<(Parts, Buffer)> {
    let (parts, mut body) = response.into_parts();
    let buffer = body.to_buffer().await?;
    Ok((parts, buffer))
}

/// The message of the innermost error, without OpenDAL's context, which holds the URL.
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
    fn only_idempotent_requests_are_repeated() {
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
