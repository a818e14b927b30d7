//! Uploads that are too large or too slow.

use bytes::Bytes;
use serde_json::json;

use crate::support::api::until;
use crate::support::gateway::Gateway;
use crate::support::raw;

#[tokio::test]
async fn an_oversized_content_length_is_refused_before_the_body() {
    let gateway = Gateway::start();
    let token = gateway.token("PUT", "k").set("size", 100).await;
    gateway
        .put(&token, vec![1; 101])
        .await
        .assert_error(413, "size_exceeded")
        .says("100 bytes");
    // The client sends the complete body before it reads.
    gateway
        .put(&token, vec![1; 32 << 20])
        .await
        .assert_error(413, "size_exceeded");
    assert_eq!(gateway.used_hits(&token).await, 0);
    assert_eq!(gateway.files(), [""; 0]);
    assert_eq!(gateway.put(&token, vec![1; 100]).await.status, 200);
}

#[tokio::test]
async fn a_chunked_upload_is_refused_when_it_grows_too_large() {
    let gateway = Gateway::start();
    let token = gateway.token("PUT", "k").set("size", 100_000).await;
    let pieces = |count: usize| {
        let pieces = std::iter::repeat_n(Bytes::from(vec![1; 50_000]), count);
        reqwest::Body::wrap_stream(futures_util::stream::iter(
            pieces.map(Ok::<_, std::io::Error>).collect::<Vec<_>>(),
        ))
    };
    for count in [3, 100] {
        let refused = gateway.put(&token, pieces(count)).await;
        refused.assert_error(413, "size_exceeded");
        assert_eq!(gateway.files(), [""; 0]);
    }
    assert_eq!(gateway.put(&token, pieces(2)).await.json()["size"], 100_000);
    assert_eq!(gateway.files(), ["k"]);
}

#[tokio::test]
async fn a_stalled_upload_is_408_and_leaves_no_file() {
    let gateway = Gateway::with(json!({"limits": {"idle_seconds": 1}}));
    let token = gateway.token("PUT", "k").await;
    let mut stream = raw::begin_upload(gateway.port, &token, 10, b"01234").await;
    let refused = raw::read_to_end(&mut stream).await;
    refused.assert_error(408, "request_timeout");
    assert_eq!(gateway.files(), [""; 0]);
    assert_eq!(gateway.put(&token, "whole").await.status, 200);
}

#[tokio::test]
async fn a_stalled_json_body_is_408() {
    let gateway = Gateway::with(json!({"limits": {"idle_seconds": 1}}));
    let authorization = format!("Authorization: Bearer {}", crate::support::api::CONTROL);
    let lines = [authorization.as_bytes(), b"Content-Length: 100"];
    let refused = raw::request(gateway.port, "POST /token", &lines, b"{\"key\":").await;
    refused.assert_error(408, "request_timeout");
}

/// The hit is reserved while bytes arrive, and no other request gets it.
#[tokio::test]
async fn an_upload_under_way_reserves_its_hit() {
    let gateway = Gateway::start();
    let token = gateway.token("PUT", "k").await;
    let stream = raw::begin_upload(gateway.port, &token, 10, b"01234").await;
    until("a lease", async || !gateway.files().is_empty()).await;
    gateway
        .put(&token, "other")
        .await
        .assert_error(409, "hits_exceeded");
    assert_eq!(gateway.used_hits(&token).await, 0);
    drop(stream);
    until("the hit is free", async || {
        gateway.put(&token, "other").await.status == 200
    })
    .await;
    assert_eq!(gateway.files(), ["k"]);
}
