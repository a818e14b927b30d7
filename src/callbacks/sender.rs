//! One HTTP request to a receiver, and how it can fail.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::RETRY_AFTER;
use reqwest::redirect::Policy;
use reqwest::{Client, Response, Url};
use serde::de::IgnoredAny;
use tokio::time::Instant;

use super::message::Message;
use super::target_policy::{CheckedNames, TargetDenied, TargetPolicy};

const USER_AGENT: &str = concat!("AssetGateway/", env!("CARGO_PKG_VERSION"));
/// What is read of an answer's body, and for how long where nobody wants it: only so that the
/// connection can be used again. A receiver that sends more, or slowly, loses its connection and
/// nothing else.
const MAX_ANSWER: usize = 64 * 1024;
/// What is kept of the answer to a try that failed.
const EXCERPT: usize = 1024;
const ANSWER_TIME: Duration = Duration::from_secs(1);
const IDLE_CONNECTIONS_PER_HOST: usize = 8;
/// Shorter than the 5 s after which common servers (Node.js, uvicorn) close theirs: a try on a
/// connection that is just being closed fails for nothing.
const IDLE_CONNECTION: Duration = Duration::from_secs(4);

/// Why a try did not deliver. `Display` is the stable word that stands in `Attempt::error`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// No answer within the limit.
    Timeout,
    /// The name has no address.
    Dns,
    /// No connection: refused, unreachable.
    Connect,
    /// No TLS: a certificate that is not trusted, no common version.
    Tls,
    /// What came back is not HTTP, or the connection broke.
    Protocol,
    /// The host is not allowed, or has only addresses that are denied.
    Denied,
    /// An answer that is not 2xx.
    Status(u16),
    /// A 2xx whose body is not what the uploader was promised: no JSON, or too long.
    Answer,
    /// The stored URL or event cannot be made a request.
    Invalid,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Timeout => f.write_str("timeout"),
            Self::Dns => f.write_str("dns"),
            Self::Connect => f.write_str("connect"),
            Self::Tls => f.write_str("tls"),
            Self::Protocol => f.write_str("protocol"),
            Self::Denied => f.write_str("target_denied"),
            Self::Status(status) => write!(f, "status_{status}"),
            Self::Answer => f.write_str("bad_answer"),
            Self::Invalid => f.write_str("invalid"),
        }
    }
}

/// The receiver's answer, whatever it says. The verdict is in the head.
pub(super) struct Answer {
    pub(super) status: u16,
    /// The header as it came.
    pub(super) retry_after: Option<String>,
    response: Response,
    /// Of the whole try.
    deadline: Instant,
}

impl Answer {
    /// Leaves the body, so that the connection can be used again if it is short.
    pub(super) async fn discard(self) {
        self.excerpt().await;
    }

    /// The same, with the beginning of the body, for people.
    pub(super) async fn excerpt(self) -> String {
        let until = self.deadline.min(Instant::now() + ANSWER_TIME);
        let mut body = BytesMut::new();
        // How it ends changes nothing.
        let _ = tokio::time::timeout_at(until, read(self.response, &mut body)).await;
        beginning(&body)
    }

    /// The body, which has to be JSON in UTF-8 of at most 64 KiB.
    pub(super) async fn json(self) -> Result<Bytes, Failure> {
        let mut body = BytesMut::new();
        tokio::time::timeout_at(self.deadline, read(self.response, &mut body))
            .await
            .map_err(|_| Failure::Timeout)??;
        // What is skipped in bytes is not looked at: in text it is UTF-8.
        let text = std::str::from_utf8(&body).map_err(|_| Failure::Answer)?;
        serde_json::from_str::<IgnoredAny>(text).map_err(|_| Failure::Answer)?;
        Ok(body.freeze())
    }
}

#[derive(Debug)]
pub(super) struct Sender {
    client: Client,
    pub(super) timeout: Duration,
}

impl Sender {
    pub(super) fn new(
        timeout: Duration,
        target_policy: Arc<TargetPolicy>,
    ) -> reqwest::Result<Self> {
        let client = Client::builder()
            .user_agent(USER_AGENT)
            .redirect(Policy::none())
            // A proxy of the environment would connect to what nobody has looked at.
            .no_proxy()
            .dns_resolver(CheckedNames(target_policy))
            .retry(reqwest::retry::never())
            .pool_max_idle_per_host(IDLE_CONNECTIONS_PER_HOST)
            .pool_idle_timeout(IDLE_CONNECTION)
            .build()?;
        Ok(Self { client, timeout })
    }

    /// Dropping the future gives the try up; the receiver may have got it. `deadline`: for all of it,
    /// reading the answer too.
    pub(super) async fn send(
        &self,
        target: Url,
        message: Message,
        deadline: Instant,
    ) -> Result<Answer, Failure> {
        let sending = self
            .client
            .post(target)
            .headers(message.headers)
            .body(message.body)
            .send();
        let response = tokio::time::timeout_at(deadline, sending)
            .await
            .map_err(|_| Failure::Timeout)?
            .map_err(|error| classify(&error))?;
        Ok(Answer {
            status: response.status().as_u16(),
            retry_after: response
                .headers()
                .get(RETRY_AFTER)
                .and_then(|value| value.to_str().ok())
                .map(str::to_owned),
            response,
            deadline,
        })
    }
}

/// At most [`EXCERPT`] bytes of text, in which a byte that is none takes three.
fn beginning(body: &[u8]) -> String {
    let mut text = String::from_utf8_lossy(body).into_owned();
    text.truncate(text.floor_char_boundary(EXCERPT));
    text
}

/// No more than [`MAX_ANSWER`], whatever comes.
async fn read(mut response: Response, body: &mut BytesMut) -> Result<(), Failure> {
    while let Some(chunk) = response.chunk().await.map_err(|error| classify(&error))? {
        let room = MAX_ANSWER - body.len();
        body.extend_from_slice(chunk.get(..room).unwrap_or(&chunk));
        if chunk.len() > room {
            return Err(Failure::Answer);
        }
    }
    Ok(())
}

fn classify(error: &reqwest::Error) -> Failure {
    if error.is_builder() {
        Failure::Invalid
    } else if error.is_timeout() {
        Failure::Timeout
    } else if is_caused_by::<TargetDenied>(error) {
        Failure::Denied
    } else if error.is_dns() {
        Failure::Dns
    } else if is_caused_by::<rustls::Error>(error) {
        Failure::Tls
    } else if error.is_connect() {
        Failure::Connect
    } else {
        Failure::Protocol
    }
}

fn is_caused_by<E: StdError + 'static>(error: &reqwest::Error) -> bool {
    let mut next: Option<&(dyn StdError + 'static)> = Some(error);
    while let Some(error) = next {
        if error.is::<E>() {
            return true;
        }
        // `source` of an `io::Error` skips the very error that it holds.
        next = match error.downcast_ref::<std::io::Error>() {
            Some(io) => io.get_ref().map(|held| held as _),
            None => error.source(),
        };
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_excerpt_is_short_whatever_bytes_come() {
        for (body, expected) in [
            (vec![0xff; 5_000], "\u{fffd}".repeat(341)),
            ("é".repeat(600).into_bytes(), "é".repeat(512)),
            (b"no".to_vec(), "no".to_owned()),
            ("x报".repeat(400).into_bytes(), "x报".repeat(256)),
            ("报".repeat(400).into_bytes(), "报".repeat(341)),
        ] {
            assert_eq!(beginning(&body), expected);
        }
    }
}
