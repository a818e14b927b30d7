//! Answers before the end of an upload.

use axum::body::Bytes;
use futures_util::StreamExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::support::*;

/// A simple client, which sends everything before it reads.
async fn upload(server: &Running, path: &str, bytes: usize) -> String {
    let head = format!("PUT {path} HTTP/1.1\r\nHost: a\r\nContent-Length: {bytes}\r\n\r\n");
    let mut stream = server.connect().await;
    stream.write_all(head.as_bytes()).await.unwrap();
    let piece = vec![b'z'; 64 * 1024];
    for _ in 0..bytes / piece.len() {
        stream.write_all(&piece).await.unwrap();
    }
    read_to_end(&mut stream).await
}

#[tokio::test]
async fn a_refused_upload_can_be_sent_completely_and_gets_its_answer() {
    let server = start(settings()).await;
    for path in ["/refused", "/partly-read"] {
        let answer = upload(&server, path, 64 * 1024 * 1024).await;
        assert_error(&answer, 413, "size_exceeded");
    }
}

#[tokio::test]
async fn a_refused_upload_that_waits_for_100_is_not_asked_for_its_body() {
    let server = start(settings()).await;
    let answer = server
        .exchange(
            b"PUT /refused HTTP/1.1\r\nHost: a\r\nContent-Length: 9999999\r\nExpect: 100-continue\r\n\r\n",
        )
        .await;
    assert_error(&answer, 413, "size_exceeded");
}

#[tokio::test]
async fn an_upload_that_waits_for_100_gets_it() {
    let server = start(settings()).await;
    let mut stream = server.connect().await;
    stream
        .write_all(b"PUT /stored HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
        .await
        .unwrap();
    let mut interim = [0; 25];
    stream.read_exact(&mut interim).await.unwrap();
    assert_eq!(&interim, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(b"hello").await.unwrap();
    let answer = read_to_end(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK") && answer.ends_with("\r\n5"));
}

#[tokio::test]
async fn a_received_upload_keeps_the_connection() {
    let server = start(settings()).await;
    let mut stream = server.connect().await;
    for body in [
        "Content-Length: 5\r\n\r\nhello",
        "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    ] {
        let request = format!("PUT /stored HTTP/1.1\r\nHost: a\r\n{body}");
        stream.write_all(request.as_bytes()).await.unwrap();
        let answer = read_answer(&mut stream).await;
        assert!(answer.starts_with("HTTP/1.1 200 OK") && answer.ends_with("\r\n5"));
        assert_eq!(header(&answer, "connection"), None);
    }
}

#[tokio::test]
async fn a_refused_upload_over_http2_is_drained() {
    let server = start(settings()).await;
    let stream = server.connect().await;
    let (mut client, connection) = hyper::client::conn::http2::handshake(
        hyper_util::rt::TokioExecutor::new(),
        hyper_util::rt::TokioIo::new(stream),
    )
    .await
    .unwrap();
    tokio::spawn(connection);
    let (done, ended) = tokio::sync::oneshot::channel();
    let pieces = futures_util::stream::iter(0..256)
        .map(|_| Ok::<_, std::io::Error>(Bytes::from(vec![b'z'; 64 * 1024])))
        .chain(futures_util::stream::once(async move {
            done.send(()).unwrap();
            Ok(Bytes::new())
        }));
    let request = http::Request::put("http://a/refused")
        .body(axum::body::Body::from_stream(pieces))
        .unwrap();
    let answer = client.send_request(request).await.unwrap();
    assert_eq!(answer.status(), 413);
    ended.await.expect("the whole upload is taken");
}
