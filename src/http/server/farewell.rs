//! The end of a connection: answers that hyper cannot give, and closing so that the client can read
//! its answer.

use std::time::{Duration, SystemTime};

use http::StatusCode;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// How long an early answer waits for the client to stop sending (contract: the rest of the body is
/// drained for up to 5 s).
pub(super) const LINGER: Duration = Duration::from_secs(5);
/// The same for clients that were refused: they hold a descriptor past the limit.
const REFUSAL: Duration = Duration::from_secs(1);
/// What a refused client is told to wait.
const RETRY_AFTER_SECONDS: u64 = 1;

/// An answer outside of any handler.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) code: &'static str,
    pub(super) message: String,
}

impl Answer {
    /// The whole HTTP/1.1 response. It closes the connection.
    fn to_bytes(&self) -> Vec<u8> {
        let request_id = uuid::Uuid::new_v4();
        tracing::debug!(%request_id, status = self.status.as_u16(), code = self.code, "answered without a handler");
        let body = json!({
            "code": self.code,
            "message": self.message,
            "request_id": request_id.to_string(),
        })
        .to_string();
        let retry_after = if self.status == StatusCode::SERVICE_UNAVAILABLE {
            format!("retry-after: {RETRY_AFTER_SECONDS}\r\n")
        } else {
            String::new()
        };
        format!(
            "HTTP/1.1 {status} {reason}\r\n\
             content-type: application/json\r\n\
             content-length: {length}\r\n\
             x-request-id: {request_id}\r\n\
             x-content-type-options: nosniff\r\n\
             referrer-policy: no-referrer\r\n\
             {retry_after}\
             connection: close\r\n\
             date: {date}\r\n\r\n\
             {body}",
            status = self.status.as_u16(),
            reason = self.status.canonical_reason().unwrap_or_default(),
            length = body.len(),
            date = httpdate::fmt_http_date(SystemTime::now()),
        )
        .into_bytes()
    }
}

/// Answers, then closes gently.
pub(super) async fn answer(stream: TcpStream, answer: &Answer) {
    write_and_close(stream, answer, LINGER).await;
}

/// For a connection past the limit.
pub(super) async fn refuse(stream: TcpStream) {
    let answer = Answer {
        status: StatusCode::SERVICE_UNAVAILABLE,
        code: "unavailable",
        message: "Too many connections are open. Try again later.".to_owned(),
    };
    write_and_close(stream, &answer, REFUSAL).await;
}

async fn write_and_close(mut stream: TcpStream, answer: &Answer, limit: Duration) {
    let bytes = answer.to_bytes();
    if let Ok(Ok(())) = tokio::time::timeout(limit, stream.write_all(&bytes)).await {
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

    #[test]
    fn an_answer_is_json_with_the_id_of_its_header() {
        let bytes = Answer {
            status: StatusCode::REQUEST_TIMEOUT,
            code: "request_timeout",
            message: "Send \"faster\".".to_owned(),
        }
        .to_bytes();
        let text = String::from_utf8(bytes).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 408 Request Timeout\r\n"));
        assert!(head.contains(&format!("content-length: {}", body.len())));
        assert!(!head.contains("retry-after"));
        let body: serde_json::Value = serde_json::from_str(body).unwrap();
        assert_eq!(body["code"], "request_timeout");
        assert_eq!(body["message"], "Send \"faster\".");
        let id = body["request_id"].as_str().unwrap();
        assert!(head.contains(&format!("x-request-id: {id}\r\n")));
    }
}
