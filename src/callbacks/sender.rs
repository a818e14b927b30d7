//! The HTTP client of callbacks: one request to a receiver, and how it can fail.

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
use super::target_policy::{CheckedResolver, TargetDenied, TargetPolicy};

const USER_AGENT: &str = concat!("AssetGateway/", env!("CARGO_PKG_VERSION"));
/// Bytes of an answer that are read. A longer answer costs the receiver its connection, and nothing else.
const MAX_ANSWER_BYTES: usize = 64 * 1024;
/// Bytes of a failed attempt's answer that are stored.
const EXCERPT_BYTES: usize = 1024;
/// How long an answer that nobody needs is read, so that its connection can be used again.
const DISCARD_TIMEOUT: Duration = Duration::from_secs(1);
const IDLE_CONNECTIONS_PER_HOST: usize = 8;
/// Shorter than the 5 s after which common servers (Node.js, uvicorn) close idle connections: a request on a
/// connection that is being closed would fail.
const IDLE_CONNECTION_TIMEOUT: Duration = Duration::from_secs(4);

/// Why an attempt failed. `Display` is the stable word in `Attempt::error`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// No answer within the time limit.
    Timeout,
    /// The name does not resolve.
    Dns,
    /// No connection: refused, or unreachable.
    Connect,
    /// No TLS: an untrusted certificate, or no common version.
    Tls,
    /// The answer is not HTTP, or the connection broke.
    Protocol,
    /// The target policy refuses the host or all its addresses.
    Denied,
    /// An answer that is not 2xx.
    Status(u16),
    /// A 2xx for a waiting uploader whose body is not JSON, or too long.
    Answer,
    /// The stored event cannot be turned into a request.
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

/// The receiver's answer: its head, and a body that is not read yet.
pub(super) struct Answer {
    pub(super) status: u16,
    /// `Retry-After`, as it came.
    pub(super) retry_after: Option<String>,
    response: Response,
    /// End of the whole attempt.
    deadline: Instant,
}

impl Answer {
    /// Reads and drops a short body, so that the connection can be used again.
    pub(super) async fn discard(self) {
        self.excerpt().await;
    }

    /// Reads the beginning of the body, for the event's history.
    pub(super) async fn excerpt(self) -> String {
        let until = self.deadline.min(Instant::now() + DISCARD_TIMEOUT);
        let mut body = BytesMut::new();
        // An error or a timeout changes nothing: the status has decided.
        let _ = tokio::time::timeout_at(until, read(self.response, &mut body)).await;
        beginning(&body)
    }

    /// Reads the body, which has to be JSON in UTF-8 of at most 64 KiB.
    pub(super) async fn json(self) -> Result<Bytes, Failure> {
        let mut body = BytesMut::new();
        tokio::time::timeout_at(self.deadline, read(self.response, &mut body))
            .await
            .map_err(|_| Failure::Timeout)??;
        // The JSON parser does not check skipped bytes for UTF-8.
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
            // A proxy from the environment would connect to addresses that no policy has checked.
            .no_proxy()
            .dns_resolver(CheckedResolver(target_policy))
            .retry(reqwest::retry::never())
            .pool_max_idle_per_host(IDLE_CONNECTIONS_PER_HOST)
            .pool_idle_timeout(IDLE_CONNECTION_TIMEOUT)
            .build()?;
        Ok(Self { client, timeout })
    }

    /// Sends one request. Dropping the future cancels the request, which the receiver may have got.
    /// `deadline` bounds reading the answer, too.
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

/// At most [`EXCERPT_BYTES`] bytes of text, in which an invalid byte takes three.
fn beginning(body: &[u8]) -> String {
    let mut text = String::from_utf8_lossy(body).into_owned();
    text.truncate(text.floor_char_boundary(EXCERPT_BYTES));
    text
}

/// Reads at most [`MAX_ANSWER_BYTES`] bytes.
async fn read(mut response: Response, body: &mut BytesMut) -> Result<(), Failure> {
    while let Some(chunk) = response.chunk().await.map_err(|error| classify(&error))? {
        let room = MAX_ANSWER_BYTES - body.len();
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
        // `source` of an `io::Error` skips the error inside.
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
    fn an_excerpt_of_any_bytes_is_at_most_1_kib() {
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
