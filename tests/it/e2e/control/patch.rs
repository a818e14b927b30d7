//! `PATCH`: by token and by id.

use serde_json::json;

use crate::support::api::{answer, now, until};
use crate::support::gateway::Gateway;

#[tokio::test]
async fn only_named_fields_change_and_null_resets_them() {
    let gateway = Gateway::start();
    let fields = json!({"max_hits": 3, "callback": "https://a.example/", "metadata": {"a": "b"},
        "tags": ["t"], "token": "t"});
    gateway.token("GET", "k").with(fields).await;
    let before = gateway.record("t").await;

    let expire_at = now(9000);
    let changed = gateway.patch("t", json!({"expire_at": expire_at})).await;
    assert_eq!(changed.status, 200);
    let mut expected = before.clone();
    expected["expire_at"] = json!(expire_at);
    assert_eq!(changed.json(), expected);
    assert_eq!(gateway.record("t").await, expected);

    assert_eq!(gateway.patch("t", json!({})).await.json(), expected);

    let all = json!({"max_hits": 9, "callback": "http://b.example/x", "metadata": {"c": "d"}});
    let changed = gateway.patch("t", all.clone()).await.json();
    for (field, value) in all.as_object().unwrap() {
        assert_eq!(&changed[field], value);
    }

    let nulls = json!({"max_hits": null, "callback": null, "metadata": null, "expire_at": null});
    let cleared = gateway.patch("t", nulls).await.json();
    assert_eq!(
        (&cleared["max_hits"], &cleared["callback"]),
        (&json!(-1), &json!(""))
    );
    assert!(cleared.get("metadata").is_none_or(|m| *m == json!({})));
    let left = cleared["expire_at"].as_i64().unwrap() - now(0);
    assert!((1700..=1800).contains(&left), "{left}");
    assert_eq!(cleared["tags"], json!(["t"]));
}

#[tokio::test]
async fn wrong_changes_change_nothing() {
    let gateway = Gateway::start();
    gateway.token("GET", "k").set("token", "t").await;
    let before = gateway.record("t").await;
    for (body, part) in [
        (json!({"max_hits": 0}), "max_hits"),
        (json!({"expire_at": 5}), "expire_at"),
        (json!({"callback": "nonsense"}), "callback"),
        (json!({"metadata": {"a": 1}}), "metadata"),
        (json!({"key": "other"}), "key"),
        (json!({"max_hits": 5, "expire_at": 5}), "expire_at"),
        (json!([]), "object"),
    ] {
        let refused = gateway.patch("t", body).await;
        refused.assert_error(400, "bad_request").says(part);
    }
    assert_eq!(gateway.record("t").await, before);
}

#[tokio::test]
async fn more_hits_reopen_a_used_up_token() {
    let gateway = Gateway::start();
    gateway.place("k", "bytes");
    gateway
        .token("GET", "k")
        .with(json!({"token": "t", "max_hits": 1}))
        .await;
    assert_eq!(gateway.get("t").await.status, 200);
    gateway.get("t").await.assert_error(409, "hits_exceeded");
    gateway.patch("t", json!({"max_hits": 2})).await;
    assert_eq!(gateway.get("t").await.status, 200);
    gateway.get("t").await.assert_error(409, "hits_exceeded");
    assert_eq!(gateway.used_hits("t").await, 2);
}

#[tokio::test]
async fn an_expired_token_is_410_until_it_is_extended_or_recreated() {
    let gateway = Gateway::start();
    gateway.place("k", "bytes");
    let fields = json!({"token": "t", "expire_at": now(2), "max_hits": 5});
    gateway.token("GET", "k").with(fields.clone()).await;
    gateway
        .token("PUT", "k")
        .with(json!({"token": "put", "expire_at": now(2)}))
        .await;
    assert_eq!(gateway.get("t").await.status, 200);
    until("410", async || gateway.head("t").await.status == 410).await;
    gateway.get("t").await.assert_error(410, "token_expired");
    assert_eq!(gateway.head("t").await.status, 410);
    until("410", async || gateway.head("put").await.status == 410).await;
    gateway
        .put("put", "x")
        .await
        .assert_error(410, "token_expired");
    // Expiry is checked after the token and before the method.
    gateway
        .put("t", "x")
        .await
        .assert_error(410, "token_expired");
    // The control plane still shows the token.
    assert_eq!(gateway.used_hits("t").await, 1);
    let expired = answer(gateway.control("GET", "/tokens?state=expired"))
        .await
        .json();
    assert_eq!(expired["tokens"].as_array().unwrap().len(), 2);

    let revived = gateway.patch("t", json!({"expire_at": now(600)})).await;
    assert_eq!(revived.status, 200);
    assert_eq!(gateway.get("t").await.status, 200);
    assert_eq!(gateway.used_hits("t").await, 2);

    // A recreated token has nothing of the expired one.
    let again = json!({"token": "put", "method": "GET", "key": "k", "max_hits": 1});
    assert_eq!(gateway.create(again).await.status, 201);
    let record = gateway.record("put").await;
    assert_eq!(
        (&record["method"], &record["used_hits"]),
        (&json!("GET"), &json!(0))
    );
    assert_eq!(gateway.get("put").await.status, 200);
}
