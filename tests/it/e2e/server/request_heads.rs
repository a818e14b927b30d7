//! Requests that hyper refuses by itself, and answers that only look like hyper's.

use std::time::Duration;

use asset_gateway::http::server::{Server, ServerSettings, bind};
use asset_gateway::shutdown::Shutdown;
use axum::Router;
use axum::http::HeaderMap;
use axum::routing::get;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use super::support::*;

#[tokio::test]
async fn a_garbage_request_line_is_a_json_400() {
    let server = start(settings()).await;
    for garbage in [
        &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 hello\r\n\r\n"[..],
        b"GET\r\n\r\n",
        b"GET / HTTP/9.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nno colon\r\n\r\n",
        b"GET /\x00 HTTP/1.1\r\n\r\n",
    ] {
        assert_error(&server.exchange(garbage).await, 400, "bad_request");
    }
}

#[tokio::test]
async fn ambiguous_requests_are_a_json_400() {
    let server = start(settings()).await;
    for headers in [
        "Content-Length: 5\r\nContent-Length: 6",
        "Content-Length: five",
        "Content-Length: +5",
        "Transfer-Encoding: chunked, identity",
    ] {
        let request = format!("PUT /stored HTTP/1.1\r\nHost: a\r\n{headers}\r\n\r\nhello!");
        assert_error(
            &server.exchange(request.as_bytes()).await,
            400,
            "bad_request",
        );
    }
}

#[tokio::test]
async fn too_many_headers_are_a_json_431() {
    let server = start(settings()).await;
    let headers: String = (0..200).map(|n| format!("x-{n}: y\r\n")).collect();
    let request = format!("GET / HTTP/1.1\r\nHost: a\r\n{headers}\r\n");
    assert_error(
        &server.exchange(request.as_bytes()).await,
        431,
        "bad_request",
    );
}

#[tokio::test]
async fn a_long_header_is_a_json_431_while_the_client_still_sends() {
    let server = start(settings()).await;
    for kib in [100, 2048] {
        let long = "y".repeat(kib * 1024);
        let request = format!("GET / HTTP/1.1\r\nHost: a\r\nx: {long}\r\n\r\n");
        assert_error(
            &server.exchange(request.as_bytes()).await,
            431,
            "bad_request",
        );
    }
}

#[tokio::test]
async fn a_broken_second_request_is_a_json_400() {
    let server = start(settings()).await;
    let mut stream = server.get("/").await;
    assert!(read_answer(&mut stream).await.ends_with("hello"));
    stream.write_all(b"\0\0\0\r\n\r\n").await.unwrap();
    assert_error(&read_to_end(&mut stream).await, 400, "bad_request");

    let pipelined = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n\0\0\r\n\r\n";
    let both = server.exchange(pipelined).await;
    let (first, second) = both.split_once("hello").unwrap();
    assert!(first.starts_with("HTTP/1.1 200 OK"));
    assert_error(second, 400, "bad_request");
}

#[tokio::test]
async fn a_body_that_looks_like_hypers_answer_is_not_replaced() {
    let server = start(settings()).await;
    let mut stream = server.connect().await;
    for _ in 0..2 {
        send_get(&mut stream, "/lookalike").await;
        let answer = read_answer(&mut stream).await;
        assert!(answer.starts_with("HTTP/1.1 200 OK"));
        assert!(answer.ends_with("HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n"));
    }
}

#[tokio::test]
async fn slow_headers_are_a_408() {
    let server = start(settings()).await;
    let mut stream = server.connect().await;
    let began = Instant::now();
    stream.write_all(b"GET / HTTP/1.1\r\nHost:").await.unwrap();
    assert_error(&read_to_end(&mut stream).await, 408, "request_timeout");
    assert!(began.elapsed() < settings().idle, "{:?}", began.elapsed());
}

#[tokio::test]
async fn headers_sent_byte_by_byte_are_a_408() {
    let server = start(settings()).await;
    let (mut read, mut write) = server.connect().await.into_split();
    let drip = tokio::spawn(async move {
        let _ = write.write_all(b"GET / HTTP/1.1\r\n").await;
        while write.write_all(b"x: y\r\n").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    let mut answer = vec![0; 4096];
    let length = timeout(PATIENCE, read.read(&mut answer))
        .await
        .unwrap()
        .unwrap();
    assert_error(
        &String::from_utf8_lossy(&answer[..length]),
        408,
        "request_timeout",
    );
    drip.abort();
}

#[tokio::test]
async fn an_ipv4_peer_of_a_dual_stack_socket_is_an_ipv4_address() {
    let server = start_on(":0", settings()).await;
    let stream = server.connect().await;
    let local = stream.local_addr().unwrap();
    drop(stream);
    let answer = server
        .exchange(b"GET /peer HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        .await;
    let peer = answer.rsplit("\r\n").next().unwrap();
    assert!(peer.starts_with(&format!("{}:", local.ip())), "{answer}");
}

#[tokio::test]
async fn handlers_get_headers_unchanged() {
    async fn echo(headers: HeaderMap) -> String {
        headers["x-a"].to_str().unwrap().to_owned()
    }
    let listener = bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = Server::new(ServerSettings::default());
    tokio::spawn(async move {
        let router = Router::new().route("/", get(echo));
        server.run(listener, router, Shutdown::new()).await;
    });
    let mut stream = TcpStream::connect(address).await.unwrap();
    // Byte by byte: protocol detection starts with the first byte.
    for byte in b"GET / HTTP/1.1\r\nHost: a\r\nX-A: b\r\nConnection: close\r\n\r\n" {
        stream.write_all(&[*byte]).await.unwrap();
    }
    assert!(read_to_end(&mut stream).await.ends_with("\r\nb"));
}
