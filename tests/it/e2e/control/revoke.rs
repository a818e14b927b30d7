//! Revocation by token, by id and by filter.

use serde_json::json;
use tokio::io::AsyncWriteExt;

use crate::support::api::answer;
use crate::support::gateway::Gateway;
use crate::support::raw;

#[tokio::test]
async fn a_revoked_token_is_refused_at_once() {
    let gateway = Gateway::start();
    gateway.place("k", "bytes");
    gateway.token("GET", "k").set("token", "t").await;
    assert_eq!(gateway.get("t").await.status, 200);
    let path = "/token/t";
    assert_eq!(answer(gateway.control("DELETE", path)).await.status, 204);
    gateway.get("t").await.assert_error(404, "token_not_found");
    assert_eq!(gateway.head("t").await.status, 404);
    let again = answer(gateway.control("DELETE", path)).await;
    again.assert_error(404, "token_not_found");
    // The name is free again.
    gateway.token("GET", "k").set("token", "t").await;
    assert_eq!(gateway.used_hits("t").await, 0);
}

#[tokio::test]
async fn a_token_is_revoked_by_its_id() {
    let gateway = Gateway::start();
    let created = gateway
        .create(json!({"key": "k", "method": "GET"}))
        .await
        .json();
    let token = created["token"].as_str().unwrap();
    let path = format!("/tokens/{}", created["token_id"].as_str().unwrap());
    let changed = answer(
        gateway
            .control("PATCH", &path)
            .json(&json!({"max_hits": 4})),
    )
    .await;
    assert_eq!(changed.json()["max_hits"], 4);
    assert!(changed.json().get("token").is_none());
    assert_eq!(gateway.record(token).await["max_hits"], 4);
    assert_eq!(answer(gateway.control("DELETE", &path)).await.status, 204);
    gateway
        .get(token)
        .await
        .assert_error(404, "token_not_found");
    answer(gateway.control("GET", &path))
        .await
        .assert_error(404, "token_not_found");
}

#[tokio::test]
async fn all_matching_tokens_are_revoked() {
    let gateway = Gateway::start();
    for n in 0..5 {
        let tag = if n < 3 { "old" } else { "new" };
        gateway
            .token("GET", &format!("a/{n}"))
            .with(json!({"tags": [tag]}))
            .await;
    }
    let b = gateway.token("GET", "b/1").await;
    let revoke = async |query: &str| {
        let revoked = answer(gateway.control("DELETE", &format!("/tokens?{query}"))).await;
        assert_eq!(revoked.status, 200, "{revoked:?}");
        revoked.json()
    };
    assert_eq!(revoke("tag=old").await, json!({"deleted": 3}));
    assert_eq!(revoke("tag=old").await, json!({"deleted": 0}));
    assert_eq!(
        revoke("bucket=local&prefix=a/").await,
        json!({"deleted": 2})
    );
    assert_eq!(gateway.record(&b).await["key"], "b/1");
    for query in [
        "",
        "?tag=",
        "?prefix=a",
        "?state=active",
        "?bucket=local&method=GET",
    ] {
        let refused = answer(gateway.control("DELETE", &format!("/tokens{query}"))).await;
        refused.assert_error(400, "bad_request");
    }
    assert_eq!(gateway.record(&b).await["key"], "b/1");
    assert_eq!(revoke("bucket=local&all=true").await, json!({"deleted": 1}));
}

#[tokio::test]
async fn an_upload_under_way_is_not_stored_after_a_revocation() {
    let gateway = Gateway::start();
    let token = gateway.token("PUT", "k").await;
    let mut stream = raw::begin_upload(gateway.port, &token, 10, b"01234").await;
    // A temporary file shows that the hit is reserved.
    crate::support::api::until("a temporary file", async || !gateway.files().is_empty()).await;
    gateway.revoke(&token).await;
    stream.write_all(b"56789").await.unwrap();
    let refused = raw::read_to_end(&mut stream).await;
    refused.assert_error(404, "token_not_found");
    assert_eq!(gateway.files(), [""; 0]);
}

#[tokio::test]
async fn an_upload_under_way_does_not_use_a_recreated_token() {
    let gateway = Gateway::start();
    gateway.token("PUT", "old").set("token", "t").await;
    let mut stream = raw::begin_upload(gateway.port, "t", 10, b"01234").await;
    crate::support::api::until("a temporary file", async || !gateway.files().is_empty()).await;
    assert_eq!(
        answer(gateway.control("DELETE", "/token/t")).await.status,
        204
    );
    gateway.token("PUT", "new").set("token", "t").await;
    stream.write_all(b"56789").await.unwrap();
    raw::read_to_end(&mut stream)
        .await
        .assert_error(404, "token_not_found");
    assert_eq!(gateway.files(), [""; 0]);
    assert_eq!(gateway.put("t", "new").await.status, 200);
    assert_eq!(gateway.files(), ["new"]);
}
