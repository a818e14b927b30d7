//! Graceful and forced shutdown of the server.

use std::sync::atomic::Ordering;
use std::time::Duration;

use asset_gateway::http::server::ServerSettings;
use axum::body::Bytes;
use axum::http::Request;
use http_body_util::Empty;
use hyper::client::conn::http2::handshake;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::support::*;
use crate::support::api::until;

#[tokio::test]
async fn shutdown_closes_idle_connections_and_finishes_answers() {
    let server = start(settings()).await;
    let mut idle = server.get("/").await;
    read_answer(&mut idle).await;
    let silent = server.connect().await;
    let mut busy = server.get("/slow").await;
    tokio::time::sleep(Duration::from_millis(50)).await;

    server.shutdown.begin();
    assert_eq!(read_to_end(&mut idle).await, "");
    let answer = read_to_end(&mut busy).await;
    assert!(answer.ends_with("done"), "{answer}");
    assert_eq!(header(&answer, "connection"), Some("close"));
    drop(busy);
    timeout(PATIENCE, server.task).await.unwrap().unwrap();
    assert!(TcpStream::connect(server.address).await.is_err());
    drop(silent);
}

#[tokio::test]
async fn shutdown_cuts_off_requests_after_its_time_limit() {
    let server = start(ServerSettings {
        shutdown: Duration::from_millis(200),
        ..settings()
    })
    .await;
    let mut stuck = server.get("/never").await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    server.shutdown.begin();
    timeout(PATIENCE, server.task).await.unwrap().unwrap();
    assert_eq!(read_to_end(&mut stuck).await, "");
}

#[tokio::test]
async fn a_forced_shutdown_does_not_wait() {
    let server = start(ServerSettings {
        shutdown: Duration::from_secs(3600),
        ..settings()
    })
    .await;
    let _stuck = server.get("/never").await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    server.shutdown.begin();
    server.shutdown.force();
    timeout(PATIENCE, server.task).await.unwrap().unwrap();
}

/// The requests' last store calls have begun when the server returns.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn http2_streams_have_ended_when_the_server_returns() {
    const STREAMS: usize = 100;
    let server = start(ServerSettings {
        shutdown: Duration::ZERO,
        ..settings()
    })
    .await;
    let io = TokioIo::new(server.connect().await);
    let (client, connection) = handshake::<_, _, Empty<Bytes>>(TokioExecutor::new(), io)
        .await
        .unwrap();
    tokio::spawn(connection);
    for _ in 0..STREAMS {
        let url = format!("http://{}/held", server.address);
        let request = Request::get(url).body(Empty::new()).unwrap();
        tokio::spawn(client.clone().send_request(request));
    }
    until("all are being answered", async || {
        HELD.load(Ordering::SeqCst) == STREAMS
    })
    .await;
    server.shutdown.begin();
    timeout(PATIENCE, server.task).await.unwrap().unwrap();
    assert_eq!(HELD.load(Ordering::SeqCst), 0);
}
