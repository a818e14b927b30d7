//! Error answers without a handler (400, 408, 431, 503), and a lingering close.
//!
//! A lingering close reads and discards until the client has read its answer (RFC 9112 §9.6). A socket
//! that is closed with unread bytes sends a reset, and the client's kernel then discards the answer: an
//! upload that is refused early would see "connection reset" in place of its 413.

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

/// How long the rest of a body is read and discarded after an early answer.
pub(super) const LINGER_TIMEOUT: Duration = Duration::from_secs(5);
/// The same for refused connections, which hold a descriptor beyond the connection limit.
const REFUSAL_LINGER_TIMEOUT: Duration = Duration::from_secs(1);
const RETRY_AFTER_SECONDS: &str = "1";
/// Far more than an answer needs.
const MAX_ANSWER_BYTES: usize = 16 * 1024;

/// An error answer without a handler.
pub(super) struct ErrorAnswer {
    pub(super) status: StatusCode,
    pub(super) code: &'static str,
    pub(super) message: String,
}

impl ErrorAnswer {
    /// The response, with the headers that the router's outer layers add to every answer. `origin`: the
    /// request's, where it is known.
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
        headers.extend(cors::headers_without_layer(cors, origin));
        let mut response = Response::new(Body::from(body.to_string()));
        *response.status_mut() = self.status;
        *response.headers_mut() = headers;
        response
    }

    /// The HTTP/1.1 response, which closes the connection.
    async fn to_bytes(&self, cors: &CorsConfig, origin: Option<&[u8]>) -> Vec<u8> {
        let (parts, body) = self.to_response(cors, origin).into_parts();
        // A body in memory cannot fail.
        let body = axum::body::to_bytes(body, MAX_ANSWER_BYTES)
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

/// Writes `answer`, then lingers.
pub(super) async fn answer_and_linger(
    stream: TcpStream,
    answer: &ErrorAnswer,
    cors: &CorsConfig,
    origin: Option<&[u8]>,
) {
    let bytes = answer.to_bytes(cors, origin).await;
    write_and_close(stream, &bytes, LINGER_TIMEOUT).await;
}

/// The limit that a connection exceeds.
#[derive(Debug, Clone, Copy)]
pub(super) enum TooMany {
    Connections,
    ConnectionsOfClient,
}

/// Answers a connection that exceeds a limit. Its `Origin` is not read, so that a page can read the
/// answer only where CORS allows any origin.
pub(super) async fn refuse(stream: TcpStream, too_many: TooMany, cors: &CorsConfig) {
    let message = match too_many {
        TooMany::Connections => "Too many connections are open. Try again later.",
        TooMany::ConnectionsOfClient => {
            "Too many connections are open from this address. Close some, or try again later."
        }
    };
    let answer = ErrorAnswer {
        status: StatusCode::SERVICE_UNAVAILABLE,
        code: "unavailable",
        message: message.to_owned(),
    };
    let bytes = answer.to_bytes(cors, None).await;
    write_and_close(stream, &bytes, REFUSAL_LINGER_TIMEOUT).await;
}

async fn write_and_close(mut stream: TcpStream, bytes: &[u8], limit: Duration) {
    if let Ok(Ok(())) = tokio::time::timeout(limit, stream.write_all(bytes)).await {
        linger(stream, limit).await;
    }
}

/// Closes the sending side, then reads and discards until the client closes or the time is up.
pub(super) async fn linger(mut stream: TcpStream, limit: Duration) {
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
    async fn an_error_answer_is_json_with_the_request_id_of_its_header() {
        let bytes = ErrorAnswer {
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
