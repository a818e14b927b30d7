//! The rows of the error table that need a faulty store, bucket or queue.

use std::sync::atomic::Ordering::SeqCst;

use serde_json::json;

use crate::support::api::{answer, until};
use crate::support::callback_receiver::CallbackReceiver;
use crate::support::faulty_backend::{FAULTS, FaultyBackend};
use crate::support::gateway::Gateway;
use crate::support::in_process::InProcess;

#[tokio::test]
async fn failing_storage_frees_the_hit() {
    let bucket = FaultyBackend::default();
    let gateway = InProcess::over(bucket.clone()).await;
    gateway.store("k", "text/plain", "bytes").await;
    let get = gateway.token("GET", "k").max_hits(1).await;
    let put = gateway.token("PUT", "k").await;
    for (fault, status, code) in FAULTS {
        bucket.fail(fault);
        for method in ["GET", "PUT"] {
            let token = if method == "GET" { &get } else { &put };
            // A panic frees the hit a moment later.
            until("the fault", async || {
                let failed = gateway.object(method, token).header("x-request-id", "mine");
                let failed = answer(failed).await;
                if failed.status == 409 {
                    return false;
                }
                failed.assert_error(status, code);
                assert_eq!(failed.json()["request_id"], "mine");
                assert!(!failed.json().to_string().contains("told to"));
                true
            })
            .await;
        }
        assert_eq!(gateway.head(&get).await.status, status);
    }
    bucket.heal();
    until("the hit is free", async || {
        gateway.get(&get).await.status == 200
    })
    .await;
    until("the hit is free", async || {
        gateway.put(&put, "new").await.status == 200
    })
    .await;
    assert_eq!(gateway.used_hits(&get).await, 1);
}

#[tokio::test]
async fn an_unavailable_token_store_is_503() {
    let (gateway, faults) = InProcess::with_faulty_store().await;
    gateway.store("k", "text/plain", "bytes").await;
    let token = gateway.token("GET", "k").await;
    faults.away.store(true, SeqCst);
    let mut refused = vec![
        gateway.get(&token).await,
        gateway.put(&token, "x").await,
        gateway.create(json!({"key": "k", "method": "GET"})).await,
    ];
    for (method, path) in [
        ("GET", format!("/token/{token}")),
        ("GET", format!("/token/{token}/status")),
        ("PATCH", format!("/token/{token}")),
        ("DELETE", format!("/token/{token}")),
        ("GET", "/tokens".to_owned()),
        ("DELETE", "/tokens?tag=a".to_owned()),
    ] {
        refused.push(answer(gateway.control(method, &path).json(&json!({}))).await);
    }
    for refused in refused {
        refused.assert_error(503, "unavailable");
        assert!(refused.header("retry-after").is_some());
        assert!(!refused.json().to_string().contains("told to"));
    }
    let ready = answer(gateway.plain("GET", "/readyz")).await;
    assert_eq!(
        (ready.status, &ready.json()["token_store"]),
        (503, &json!("unavailable"))
    );
    assert!(ready.header("retry-after").is_some());
    assert_eq!(answer(gateway.plain("GET", "/healthz")).await.status, 200);
    faults.away.store(false, SeqCst);
    assert_eq!(gateway.get(&token).await.status, 200);
}

#[tokio::test]
async fn a_full_callback_queue_is_503_for_tokens_with_a_callback() {
    let receiver = CallbackReceiver::start().await;
    receiver.answer(500);
    let gateway = Gateway::with(json!({"callback": {"max_pending": 2, "retry_seconds": [3600]}}));
    gateway.place("k", "bytes");
    let fields = json!({"callback": receiver.url(), "max_hits": 100});
    let get = gateway.token("GET", "k").with(fields.clone()).await;
    let put = gateway.token("PUT", "new").with(fields).await;
    for _ in 0..2 {
        assert_eq!(gateway.get(&get).await.status, 200);
        // The event is queued at the end of the body.
    }
    until("full", async || gateway.get(&get).await.status == 503).await;
    let used = gateway.used_hits(&get).await;
    assert!((2..=3).contains(&used), "{used}");
    for refused in [gateway.get(&get).await, gateway.put(&put, "x").await] {
        refused.assert_error(503, "unavailable");
        assert!(refused.header("retry-after").is_some());
    }
    assert_eq!(gateway.head(&get).await.status, 503);
    assert_eq!(gateway.used_hits(&get).await, used);
    assert_eq!(gateway.files(), ["k"]);
    let without = gateway.token("GET", "k").await;
    assert_eq!(gateway.get(&without).await.status, 200);
}

#[tokio::test]
async fn too_many_requests_of_one_client_are_429() {
    let limits = json!({"requests_per_second_per_client": 3});
    let gateway = Gateway::with(json!({"limits": limits, "server": {
        "listen": "127.0.0.1:0", "trusted_proxies": ["127.0.0.1"]}}));
    let get = async |client: &str| {
        let request = gateway
            .object("GET", "unknown")
            .header("x-forwarded-for", client);
        answer(request).await
    };
    let refused = loop {
        let answer = get("203.0.113.1").await;
        if answer.status != 404 {
            break answer;
        }
    };
    refused.assert_error(429, "rate_limited");
    assert!(refused.header("retry-after").is_some());
    get("203.0.113.2")
        .await
        .assert_error(404, "token_not_found");
    until("the client is admitted again", async || {
        get("203.0.113.1").await.status == 404
    })
    .await;
}
