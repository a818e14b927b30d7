//! Limits on connections, idle time and request time.

use std::time::Duration;

use asset_gateway::http::server::ServerSettings;
use axum::body::Bytes;
use http_body_util::BodyExt;
use tokio::io::AsyncReadExt;
use tokio::time::{Instant, timeout};

use super::support::*;

#[tokio::test]
async fn a_silent_client_is_disconnected_without_an_answer() {
    let server = start(settings()).await;
    for beginning in [&b""[..], b"PRI * HTTP/2.0\r\n"] {
        assert_eq!(server.exchange(beginning).await, "");
    }
}

#[tokio::test]
async fn an_idle_connection_is_closed_without_an_answer() {
    let server = start(settings()).await;
    let mut stream = server.connect().await;
    for _ in 0..2 {
        send_get(&mut stream, "/").await;
        assert!(read_answer(&mut stream).await.ends_with("hello"));
        // Longer than the header timeout, shorter than the idle timeout.
        tokio::time::sleep(Duration::from_millis(400)).await;
    }
    assert_eq!(read_to_end(&mut stream).await, "");
}

#[tokio::test]
async fn a_connection_over_the_limit_is_a_503_until_another_closes() {
    let server = start(ServerSettings {
        max_connections: 1,
        ..settings()
    })
    .await;
    let mut first = server.get("/").await;
    read_answer(&mut first).await;

    let answer = server.exchange(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert_error(&answer, 503, "unavailable");
    assert_eq!(header(&answer, "retry-after"), Some("1"));

    drop(first);
    let closing = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    let deadline = Instant::now() + PATIENCE;
    while !server.exchange(closing).await.ends_with("hello") {
        assert!(Instant::now() < deadline);
    }
}

#[tokio::test]
async fn a_client_that_reads_nothing_is_disconnected() {
    let server = start(settings()).await;
    let mut stream = server.get("/endless").await;
    tokio::time::sleep(settings().idle + Duration::from_millis(500)).await;
    let mut taken = vec![0; 1 << 20];
    let ended = timeout(PATIENCE, async {
        loop {
            match stream.read(&mut taken).await {
                Ok(0) | Err(_) => return,
                Ok(_) => {}
            }
        }
    });
    ended.await.expect("an end");
}

#[tokio::test]
async fn a_slow_client_that_reads_is_not_disconnected() {
    let server = start(settings()).await;
    let mut stream = server.connect().await;
    socket2::SockRef::from(&stream)
        .set_recv_buffer_size(32 * 1024)
        .unwrap();
    send_get(&mut stream, "/endless").await;
    let mut taken = vec![0; 96 * 1024];
    let end = Instant::now() + settings().idle * 2;
    while Instant::now() < end {
        stream.read_exact(&mut taken).await.unwrap();
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn http2_is_served_by_prior_knowledge() {
    let server = start(settings()).await;
    let stream = server.connect().await;
    let (mut client, connection) =
        hyper::client::conn::http2::handshake::<_, _, http_body_util::Full<Bytes>>(
            hyper_util::rt::TokioExecutor::new(),
            hyper_util::rt::TokioIo::new(stream),
        )
        .await
        .unwrap();
    let connection = tokio::spawn(connection);
    let request = |path: &str| {
        http::Request::builder()
            .uri(format!("http://a{path}"))
            .body(http_body_util::Full::default())
            .unwrap()
    };
    for _ in 0..3 {
        let answer = client.send_request(request("/")).await.unwrap();
        assert_eq!(answer.version(), http::Version::HTTP_2);
        assert_eq!(
            answer.into_body().collect().await.unwrap().to_bytes(),
            "hello"
        );
    }

    // A stream with a closed flow-control window does not keep the connection open.
    let endless = client.send_request(request("/endless")).await.unwrap();
    timeout(PATIENCE, connection)
        .await
        .expect("an end")
        .unwrap()
        .ok();
    drop(endless);
}

#[tokio::test]
async fn a_stalled_upload_is_an_error_that_handlers_recognise() {
    let server = start(settings()).await;
    let answer = server
        .exchange(b"PUT /stored HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhello")
        .await;
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    assert_eq!(header(&answer, "connection"), Some("close"));
}
