//! Memory of HTTP/2 streams in flight, and connections of one client.

use std::time::Duration;

use axum::body::Body;
use futures_util::future::join_all;
use http::Request;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::client::conn::http2::{Builder, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio::time::{Instant, timeout};

use crate::support::api::{PATIENCE, until};
use crate::support::gateway::Gateway;
use crate::support::raw;

const CONNECTIONS: usize = 20;
const STREAMS: usize = 128;
const MIB: u64 = 1 << 20;

/// A client with large flow-control windows that reads no more than they hold.
async fn connect(gateway: &Gateway) -> SendRequest<Body> {
    let stream = TokioIo::new(raw::connect(gateway.port).await);
    let (client, connection) = Builder::new(TokioExecutor::new())
        .initial_stream_window_size(1024)
        .initial_connection_window_size(65_535)
        .handshake(stream)
        .await
        .unwrap();
    tokio::spawn(connection);
    client
}

fn get(token: &str) -> Request<Body> {
    let uri = format!("http://gateway/object/{token}");
    Request::get(uri).body(Body::empty()).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_http2_streams_use_little_memory_and_complete() {
    let gateway = Gateway::start();
    gateway.place("k", vec![7; 4 << 20]);
    gateway.place("small", vec![7; 256 << 10]);
    let token = gateway.token("GET", "k").await;
    let small = gateway.token("GET", "small").await;
    let before = gateway.memory();
    let mut asked = Vec::new();
    let mut clients = Vec::new();
    for _ in 0..CONNECTIONS {
        let client = connect(&gateway).await;
        for _ in 0..STREAMS {
            let mut client = client.clone();
            let request = get(&token);
            asked.push(tokio::spawn(async move {
                client.ready().await.unwrap();
                client.send_request(request).await
            }));
        }
        clients.push(client);
    }
    let mut highest = 0;
    let end = Instant::now() + Duration::from_secs(6);
    while Instant::now() < end {
        highest = highest.max(gateway.memory() - before);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(highest < 64 * MIB, "{} MiB", highest / MIB);

    // Other clients are served, over HTTP/2 as well.
    let mut other = connect(&gateway).await;
    for _ in 0..3 {
        let began = Instant::now();
        let answer = timeout(PATIENCE, other.send_request(get(&small))).await;
        let body = answer.unwrap().unwrap().into_body().collect().await;
        assert_eq!(body.unwrap().to_bytes().len(), 256 << 10);
        assert!(began.elapsed() < Duration::from_secs(5));
    }
    // The closed connections leave nothing behind.
    for task in asked {
        task.abort();
    }
    drop(clients);
    until("all streams of one connection are answered", async || {
        let all = (0..STREAMS).map(|_| {
            let mut client = other.clone();
            let request = get(&small);
            async move { read(client.send_request(request).await.unwrap().into_body()).await }
        });
        let all = timeout(PATIENCE, join_all(all)).await.expect("an end");
        all.iter().all(|length| *length == 256 << 10)
    })
    .await;
}

async fn read(body: Incoming) -> usize {
    body.collect().await.unwrap().to_bytes().len()
}

#[tokio::test]
async fn one_client_has_a_quarter_of_the_connections() {
    let gateway = Gateway::with(json!({"limits": {"max_connections": 8}}));
    let ask = async || {
        let mut stream = raw::connect(gateway.port).await;
        let request = b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n";
        stream.write_all(request).await.unwrap();
        let status = raw::take(&mut stream, 12).await;
        (stream, status)
    };
    let (first, status) = ask().await;
    assert_eq!(status, b"HTTP/1.1 200");
    let (second, status) = ask().await;
    assert_eq!(status, b"HTTP/1.1 200");
    let refused = raw::request(gateway.port, "GET /healthz", &[], b"").await;
    refused.assert_error(503, "unavailable").says("connections");
    drop((first, second));
    until("a connection is free", async || {
        ask().await.1 == b"HTTP/1.1 200"
    })
    .await;

    let server = json!({"listen": "127.0.0.1:0", "trusted_proxies": ["127.0.0.1"]});
    let limits = json!({"max_connections": 8, "max_connections_per_client": 1});
    let gateway = Gateway::with(json!({"limits": limits, "server": server}));
    let mut open = Vec::new();
    for _ in 0..4 {
        let mut stream = raw::connect(gateway.port).await;
        let request = b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n";
        stream.write_all(request).await.unwrap();
        assert_eq!(raw::take(&mut stream, 12).await, b"HTTP/1.1 200");
        open.push(stream);
    }
}
