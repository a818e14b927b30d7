//! `/healthz` and `/readyz`.

use serde_json::json;

use crate::support::api::answer;
use crate::support::faulty_backend::{Fault, FaultyBackend};
use crate::support::gateway::Gateway;
use crate::support::in_process::InProcess;
use crate::support::raw;
use crate::support::scripted_storage::{ScriptedStorage, answer as answer_of_storage};

#[tokio::test]
async fn healthz_and_readyz_answer() {
    let gateway = Gateway::start();
    let health = answer(gateway.plain("GET", "/healthz")).await;
    assert_eq!(
        (health.status, &health.body[..]),
        (200, &b"{\"status\":\"ok\"}"[..])
    );
    let ready = answer(gateway.plain("GET", "/readyz")).await;
    assert_eq!(ready.status, 200);
    let expected = json!({"status": "ok", "token_store": "ok", "buckets": {"local": "ok"}});
    assert_eq!(ready.json(), expected);
    let head = answer(gateway.plain("HEAD", "/healthz")).await;
    assert_eq!(
        (head.status, head.header("content-length")),
        (200, Some("15"))
    );
}

#[tokio::test]
async fn an_unavailable_bucket_is_degraded_and_stays_ready() {
    // The port is closed again.
    let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = closed.local_addr().unwrap();
    drop(closed);
    let gateway = Gateway::with(json!({
        "credentials": {"c": {"access_key": "a", "secret_key": "b"}},
        "buckets": {"local": {
            "provider": "s3", "bucket": "b", "region": "r", "credential": "c",
            "endpoint": format!("http://{address}"), "force_path_style": true}},
    }));
    let ready = answer(gateway.plain("GET", "/readyz")).await;
    assert_eq!(ready.status, 200);
    assert_eq!(ready.json()["buckets"], json!({"local": "degraded"}));
}

#[tokio::test]
async fn a_bucket_that_answers_an_error_is_available() {
    let storage = ScriptedStorage::start(|_| answer_of_storage("403 Forbidden", &[], "")).await;
    let gateway = Gateway::with(json!({
        "credentials": {"c": {"access_key": "a", "secret_key": "b"}},
        "buckets": {"local": {
            "provider": "s3", "bucket": "b", "region": "r", "credential": "c",
            "endpoint": storage.endpoint, "force_path_style": true}},
    }));
    let ready = answer(gateway.plain("GET", "/readyz")).await;
    assert_eq!(ready.json()["buckets"], json!({"local": "ok"}));
}

#[tokio::test]
async fn readyz_is_cached_for_some_seconds() {
    let bucket = FaultyBackend::default();
    let gateway = InProcess::over(bucket.clone()).await;
    let buckets = async || answer(gateway.plain("GET", "/readyz")).await.json()["buckets"].clone();
    assert_eq!(buckets().await, json!({"local": "ok"}));
    bucket.fail(Fault::Error(asset_gateway_backends::ErrorKind::Unavailable));
    assert_eq!(buckets().await, json!({"local": "ok"}));
}

/// Uses an open connection, because the listener is closed during shutdown.
#[tokio::test]
async fn readyz_is_503_during_shutdown() {
    use tokio::io::AsyncWriteExt;

    let gateway = InProcess::over(FaultyBackend::default()).await;
    let port = gateway.base.rsplit(':').next().unwrap().parse().unwrap();
    let mut stream = raw::connect(port).await;
    // The request has begun when the shutdown begins.
    stream.write_all(b"GET /readyz HTTP/1.1\r\n").await.unwrap();
    answer(gateway.plain("GET", "/healthz")).await;
    gateway.begin_shutdown();
    stream
        .write_all(b"Host: a\r\nConnection: close\r\n\r\n")
        .await
        .unwrap();
    let ready = raw::read_to_end(&mut stream).await;
    assert_eq!(
        (ready.status, &ready.json()["status"]),
        (503, &json!("shutting_down"))
    );
    assert!(ready.header("retry-after").is_some());
}
