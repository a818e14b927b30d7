//! Orderly stops, and what survives them.

use serde_json::json;
use tokio::io::AsyncWriteExt;

use crate::support::api::until;
use crate::support::gateway::Gateway;
use crate::support::raw;

#[tokio::test]
async fn tokens_hits_and_objects_outlive_the_process() {
    let gateway = Gateway::start();
    gateway
        .token("PUT", "k")
        .with(json!({"token": "put", "max_hits": 2}))
        .await;
    gateway
        .token("GET", "k")
        .with(json!({"token": "limited", "max_hits": 2}))
        .await;
    gateway.token("GET", "k").set("token", "unlimited").await;
    gateway.put("put", "bytes").await;
    gateway.get("limited").await;
    for _ in 0..5 {
        gateway.get("unlimited").await;
    }
    let before = gateway.status("put").await;
    let gateway = gateway.stop().start();
    let mut after = gateway.status("put").await;
    for field in ["url", "status_url"] {
        after[field] = before[field].clone();
    }
    assert_eq!(after, before);
    assert_eq!(gateway.used_hits("limited").await, 1);
    // An orderly stop loses no hit of an unlimited token.
    assert_eq!(gateway.used_hits("unlimited").await, 5);
    assert_eq!(gateway.get("limited").await.body, "bytes");
    gateway
        .get("limited")
        .await
        .assert_error(409, "hits_exceeded");
}

#[tokio::test]
async fn an_upload_under_way_is_finished_before_the_process_ends() {
    let gateway = Gateway::start();
    let token = gateway.token("PUT", "k").await;
    let mut stream = raw::begin_upload(gateway.port, &token, 10, b"01234").await;
    until("a temporary file", async || !gateway.files().is_empty()).await;
    gateway.terminate();
    // No new connection is accepted.
    until("a closed listener", async || {
        tokio::net::TcpStream::connect(("127.0.0.1", gateway.port))
            .await
            .is_err()
    })
    .await;
    stream.write_all(b"56789").await.unwrap();
    assert_eq!(raw::read_to_end(&mut stream).await.status, 200);
    let gateway = gateway.stop().start();
    assert_eq!(gateway.status(&token).await["uploaded"], true);
    assert_eq!(gateway.files(), ["k"]);
}

#[tokio::test]
async fn an_upload_that_exceeds_the_shutdown_time_is_cut_off() {
    let gateway = Gateway::with(json!({"limits": {"shutdown_seconds": 1}}));
    let token = gateway.token("PUT", "k").await;
    let _stream = raw::begin_upload(gateway.port, &token, 10, b"01234").await;
    until("a temporary file", async || !gateway.files().is_empty()).await;
    let gateway = gateway.stop().start();
    assert_eq!(gateway.files(), [""; 0]);
    assert_eq!(gateway.put(&token, "again").await.status, 200);
}
