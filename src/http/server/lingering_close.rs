//! The end of a connection: answers that hyper cannot give, and closing so that the client can read
//! its answer.

use std::time::{Duration, SystemTime};

use axum::body::Body;
use axum::response::Response;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::config::CorsConfig;
use crate::http::cors;
use crate::http::request_context::X_REQUEST_ID;

/// How long an early answer waits for the client to stop sending (contract: the rest of the body is
/// drained for up to 5 s).
pub(super) const LINGER: Duration = Duration::from_secs(5);
/// The same for clients that were refused: they hold a descriptor past the limit.
const REFUSAL: Duration = Duration::from_secs(1);
/// What a refused client is told to wait.
const RETRY_AFTER_SECONDS: &str = "1";
/// Far more than an answer has.
const MAX_ANSWER: usize = 16 * 1024;

/// An answer outside of any handler.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) code: &'static str,
    pub(super) message: String,
}

impl Answer {
    /// The response, with what the router's outer layers put on every answer. `origin` is that of the
    /// page that has asked, where it is known.
    pub(super) fn to_response(&self, cors: &CorsConfig, origin: Option<&[u8]>) -> Response {
        let request_id = uuid::Uuid::new_v4().to_string();
        tracing::debug!(
            %request_id, http.response.status_code = self.status.as_u16(), error.type = self.code,
            "answered without a handler"
        );
        let body = json!({
            "code": self.code,
            "message": self.message,
            "request_id": request_id,
        });
        let mut headers = HeaderMap::new();
        let mut put = |name, value| headers.insert(name, HeaderValue::from_static(value));
        put(header::CONTENT_TYPE, "application/json");
        put(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
        put(header::REFERRER_POLICY, "no-referrer");
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            put(header::RETRY_AFTER, RETRY_AFTER_SECONDS);
        }
        if let Ok(id) = HeaderValue::from_str(&request_id) {
            headers.insert(X_REQUEST_ID.clone(), id);
        }
        headers.extend(cors::of_bare_answer(cors, origin));
        let mut response = Response::new(Body::from(body.to_string()));
        *response.status_mut() = self.status;
        *response.headers_mut() = headers;
        response
    }

    /// The whole HTTP/1.1 response. It closes the connection.
    async fn to_bytes(&self, cors: &CorsConfig, origin: Option<&[u8]>) -> Vec<u8> {
        let (parts, body) = self.to_response(cors, origin).into_parts();
        // A body in memory has no error and no end to wait for.
        let body = axum::body::to_bytes(body, MAX_ANSWER)
            .await
            .unwrap_or_default();
        let mut bytes = format!(
            "HTTP/1.1 {} {}\r\ncontent-length: {}\r\nconnection: close\r\ndate: {}\r\n",
            parts.status.as_u16(),
            parts.status.canonical_reason().unwrap_or_default(),
            body.len(),
            httpdate::fmt_http_date(SystemTime::now()),
        )
        .into_bytes();
        for (name, value) in &parts.headers {
            bytes.extend_from_slice(name.as_str().as_bytes());
            bytes.extend_from_slice(b": ");
            bytes.extend_from_slice(value.as_bytes());
            bytes.extend_from_slice(b"\r\n");
        }
        bytes.extend_from_slice(b"\r\n");
        bytes.extend_from_slice(&body);
        bytes
    }
}

/// Answers, then closes gently.
pub(super) async fn answer(
    stream: TcpStream,
    answer: &Answer,
    cors: &CorsConfig,
    origin: Option<&[u8]>,
) {
    let bytes = answer.to_bytes(cors, origin).await;
    write_and_close(stream, &bytes, LINGER).await;
}

/// Which limit a connection is past.
#[derive(Debug, Clone, Copy)]
pub(super) enum TooMany {
    Connections,
    ConnectionsOfClient,
}

/// For a connection past a limit. Nothing is read of it, so pages of some origins only do not learn why.
pub(super) async fn refuse(stream: TcpStream, too_many: TooMany, cors: &CorsConfig) {
    let message = match too_many {
        TooMany::Connections => "Too many connections are open. Try again later.",
        TooMany::ConnectionsOfClient => {
            "Too many connections are open from this address. Close some, or try again later."
        }
    };
    let answer = Answer {
        status: StatusCode::SERVICE_UNAVAILABLE,
        code: "unavailable",
        message: message.to_owned(),
    };
    let bytes = answer.to_bytes(cors, None).await;
    write_and_close(stream, &bytes, REFUSAL).await;
}

async fn write_and_close(mut stream: TcpStream, bytes: &[u8], limit: Duration) {
    if let Ok(Ok(())) = tokio::time::timeout(limit, stream.write_all(bytes)).await {
        linger(stream, limit).await;
    }
}

/// Says that no more will come, and reads and discards until the client closes or time is up.
///
/// Closing a socket with unread bytes sends a reset, and a reset makes the client's kernel throw
/// away the answer that it has not read yet: the reason why an upload that is refused early would
/// see "connection reset" in place of its 413.
pub(super) async fn after_early_answer(stream: TcpStream) {
    linger(stream, LINGER).await;
}

async fn linger(mut stream: TcpStream, limit: Duration) {
    // Already done where hyper closed the connection.
    let _ = stream.shutdown().await;
    let mut discarded = vec![0; 16 * 1024];
    let drain =
        async { while matches!(stream.read(&mut discarded).await, Ok(read) if read > 0) {} };
    let _ = tokio::time::timeout(limit, drain).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_answer_is_json_with_the_id_of_its_header() {
        let bytes = Answer {
            status: StatusCode::REQUEST_TIMEOUT,
            code: "request_timeout",
            message: "Send \"faster\".".to_owned(),
        }
        .to_bytes(&CorsConfig::default(), None)
        .await;
        let text = String::from_utf8(bytes).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 408 Request Timeout\r\n"));
        assert!(head.contains(&format!("content-length: {}", body.len())));
        assert!(!head.contains("retry-after"));
        let body: serde_json::Value = serde_json::from_str(body).unwrap();
        assert_eq!(body["code"], "request_timeout");
        assert_eq!(body["message"], "Send \"faster\".");
        let id = body["request_id"].as_str().unwrap();
        assert!(
            head.lines()
                .any(|line| line == format!("x-request-id: {id}"))
        );
    }
}
