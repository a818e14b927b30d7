//! `POST /tokens`.

use serde_json::{Value, json};

use crate::support::api::{Answer, answer};
use crate::support::gateway::Gateway;

async fn batch(gateway: &Gateway, tokens: &[Value]) -> Answer {
    let body = json!({"tokens": tokens});
    answer(gateway.control("POST", "/tokens").json(&body)).await
}

fn item(key: &str) -> Value {
    json!({"bucket": "local", "key": key, "method": "GET"})
}

async fn count(gateway: &Gateway) -> usize {
    let listed = answer(gateway.control("GET", "/tokens?limit=1000"))
        .await
        .json();
    listed["tokens"].as_array().unwrap().len()
}

#[tokio::test]
async fn a_thousand_tokens_are_returned_in_request_order() {
    let gateway = Gateway::start();
    let items: Vec<_> = (0..1000)
        .map(|n| {
            json!({"bucket": "local", "key": format!("k{n}"), "method": "GET",
            "filename": format!("f{n}")})
        })
        .collect();
    let made = batch(&gateway, &items).await;
    assert_eq!(made.status, 201);
    let made = made.json();
    let made = made["tokens"].as_array().unwrap();
    assert_eq!(made.len(), 1000);
    for (n, created) in made.iter().enumerate() {
        assert_eq!(created["filename"], format!("f{n}"));
    }
    let last = made[999]["token"].as_str().unwrap();
    assert_eq!(gateway.record(last).await["key"], "k999");
    assert_eq!(count(&gateway).await, 1000);

    let one_more: Vec<_> = (0..1001).map(|_| item("k")).collect();
    let refused = batch(&gateway, &one_more).await;
    refused.assert_error(400, "bad_request").says("1000");
    assert_eq!(count(&gateway).await, 1000);
}

#[tokio::test]
async fn a_wrong_item_is_named_and_nothing_is_created() {
    let gateway = Gateway::start();
    let mut wrong = item("k");
    wrong["max_hits"] = json!(0);
    let refused = batch(&gateway, &[item("a"), wrong, item("b")]).await;
    refused
        .assert_error(400, "bad_request")
        .says("tokens[1]")
        .says("max_hits");
    let refused = batch(&gateway, &[item("a"), json!("text")]).await;
    refused.assert_error(400, "bad_request").says("tokens[1]");
    batch(&gateway, &[])
        .await
        .assert_error(400, "bad_request")
        .says("tokens");
    for body in [
        json!({}),
        json!({"tokens": {}}),
        json!({"tokens": [item("a")], "more": 1}),
    ] {
        let refused = answer(gateway.control("POST", "/tokens").json(&body)).await;
        refused.assert_error(400, "bad_request");
    }
    assert_eq!(count(&gateway).await, 0);
}

#[tokio::test]
async fn a_conflict_creates_nothing_of_the_batch() {
    let gateway = Gateway::start();
    gateway.token("GET", "old").set("token", "taken").await;
    let named = |token: &str| {
        let mut item = item("new");
        item["token"] = json!(token);
        item
    };
    let refused = batch(&gateway, &[named("first"), named("taken"), named("last")]).await;
    refused.assert_error(409, "token_exists");
    let twice = batch(&gateway, &[named("twin"), named("twin")]).await;
    twice.assert_error(409, "token_exists");
    assert_eq!(count(&gateway).await, 1);
    assert_eq!(gateway.record("taken").await["key"], "old");
    for token in ["first", "last", "twin"] {
        gateway
            .get(token)
            .await
            .assert_error(404, "token_not_found");
    }
    assert_eq!(
        batch(&gateway, &[named("first"), named("twin")])
            .await
            .status,
        201
    );
}
