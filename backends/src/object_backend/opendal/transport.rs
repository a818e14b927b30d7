//! The HTTP client below OpenDAL: time limits, repeats, and the answers that OpenDAL mixes up.
//!
//! OpenDAL's own layers do not fit: its retry layer resumes a body in the middle without saying
//! which version it has begun with, and repeats the request that makes an upload visible; its
//! time-out layer gives a part of any size the same seconds.

use std::time::Duration;

use futures_util::stream;
use opendal::{Buffer, Error, ErrorKind, HttpBody, HttpTransport, Result};
use opendal_http_transport_reqwest::ReqwestTransport;
use reqwest::header::{CONTENT_RANGE, RANGE};
use reqwest::{Method, StatusCode};

use super::error::Failure;
use crate::object_backend::unsent::is_unsent;

type Request = http::Request<Buffer>;
type Response = http::Response<HttpBody>;

const CONNECT: Duration = Duration::from_secs(10);
/// To the first byte of an answer; between two pieces of a body.
pub const SILENCE: Duration = Duration::from_secs(30);
/// Storage puts the parts of a large upload together before it answers.
const COMPLETE: Duration = Duration::from_secs(300);
/// Bytes per second below which sending a part is given up.
const SLOWEST_UPLOAD: u64 = 64 * 1024;
/// Unused connections are closed before storage closes them, which would fail an upload.
const IDLE_CONNECTION: Duration = Duration::from_secs(15);

/// Pauses before the second and the third try of a request that may be repeated.
const PAUSES: [Duration; 2] = [Duration::from_millis(100), Duration::from_millis(500)];

pub struct Transport {
    client: ReqwestTransport,
}

impl Transport {
    /// Needs a rustls provider that is installed for the process.
    pub fn new() -> reqwest::Result<Self> {
        let client = reqwest::Client::builder()
            .connect_timeout(CONNECT)
            .pool_idle_timeout(IDLE_CONNECTION)
            // A signature is for one host; and nobody else decides where our requests go.
            .redirect(reqwest::redirect::Policy::none())
            .http1_only()
            .build()?;
        Ok(Self {
            client: ReqwestTransport::new(client),
        })
    }

    async fn send(&self, request: Request) -> Result<Response> {
        let limit = time_limit(&request);
        // A part that got stuck may go through on another connection; who looks has waited enough.
        let repeat_silence = request.method() == Method::PUT;
        let answer = async {
            let ranged = request.headers().contains_key(RANGE);
            let streams = request.method() == Method::GET;
            let response = self.client.fetch(request).await.map_err(|error| {
                let text = source_text(&error);
                let failure = match is_unsent(&error) {
                    true => Failure::Unreachable(text),
                    false => Failure::Broken(text),
                };
                failure.into_error(error.is_temporary())
            })?;
            match response.status() {
                StatusCode::NOT_MODIFIED => Err(Failure::NotModified.into_error(false)),
                status @ (StatusCode::BAD_GATEWAY | StatusCode::GATEWAY_TIMEOUT) => {
                    Err(Failure::Between(status.as_u16()).into_error(true))
                }
                StatusCode::PRECONDITION_FAILED => Err(Failure::Precondition.into_error(false)),
                StatusCode::RANGE_NOT_SATISFIABLE => {
                    let size = size_of_unsatisfied(&response);
                    Err(Failure::Range { size }.into_error(false))
                }
                // The whole in place of a range would be taken for the range.
                StatusCode::OK if ranged && has_body(&response) => {
                    Err(Failure::RangeIgnored.into_error(false))
                }
                status if streams && status.is_success() => Ok(response),
                _ => buffered(response).await.map_err(|error| {
                    Failure::Broken(source_text(&error)).into_error(error.is_temporary())
                }),
            }
        };
        match tokio::time::timeout(limit, answer).await {
            Ok(result) => result,
            Err(_) => Err(Failure::Silent(limit).into_error(repeat_silence)),
        }
    }
}

impl HttpTransport for Transport {
    async fn fetch(&self, request: Request) -> Result<Response> {
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

/// Requests whose repetition changes nothing: looking, deleting, aborting, sending one part again.
///
/// Not a download: its client repeats it, and a GET is one request. Not what begins an upload (two
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
        Method::PUT => {
            let seconds = request.body().len() as u64 / SLOWEST_UPLOAD;
            SILENCE + Duration::from_secs(seconds)
        }
        Method::POST => COMPLETE,
        _ => SILENCE,
    }
}

fn has_body(response: &Response) -> bool {
    let length = response.headers().get(reqwest::header::CONTENT_LENGTH);
    length.is_none_or(|length| length.as_bytes() != b"0")
}

/// N of `Content-Range: bytes */N`.
fn size_of_unsatisfied(response: &Response) -> Option<u64> {
    let value = response.headers().get(CONTENT_RANGE)?.to_str().ok()?;
    value.strip_prefix("bytes */")?.trim().parse().ok()
}

/// Reads a short answer to its end, so that the time limit holds for all of it.
async fn buffered(response: Response) -> Result<Response> {
    let (parts, mut body) = response.into_parts();
    let buffer = body.to_buffer().await?;
    let body = HttpBody::new(stream::iter([Ok(buffer)]), None);
    Ok(Response::from_parts(parts, body))
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
