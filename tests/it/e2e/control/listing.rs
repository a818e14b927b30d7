//! `GET /tokens`.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::support::api::{answer, now, until};
use crate::support::gateway::Gateway;

async fn page(gateway: &Gateway, query: &str) -> Value {
    let listed = answer(gateway.control("GET", &format!("/tokens?{query}"))).await;
    assert_eq!(listed.status, 200, "{listed:?}");
    listed.json()
}

/// The keys of all pages.
async fn keys(gateway: &Gateway, query: &str) -> BTreeSet<String> {
    let (mut keys, mut cursor) = (BTreeSet::new(), String::new());
    loop {
        let page = page(gateway, &format!("{query}&limit=3{cursor}")).await;
        let tokens = page["tokens"].as_array().unwrap();
        assert!(tokens.len() <= 3);
        for token in tokens {
            let key = token["key"].as_str().unwrap().to_owned();
            assert!(keys.insert(key), "twice: {token}");
        }
        let Some(next) = page["cursor"].as_str() else {
            return keys;
        };
        cursor = format!("&cursor={next}");
    }
}

fn set(keys: &[&str]) -> BTreeSet<String> {
    keys.iter().map(|&key| key.to_owned()).collect()
}

#[tokio::test]
async fn listings_have_pages_and_filters() {
    let gateway = Gateway::with(json!({"buckets": {
        "local": {"provider": "memory"}, "other": {"provider": "memory"}}}));
    for key in ["a/1", "a/2", "a/3", "b/1", "b/2"] {
        let fields = json!({"tags": [&key[..1], "all"]});
        gateway.token("GET", key).with(fields).await;
    }
    gateway
        .token("PUT", "a/4")
        .with(json!({"tags": ["all", "a b&c"]}))
        .await;
    gateway.token("HEAD", "x/1").set("bucket", "other").await;
    gateway
        .token("GET", "a/5")
        .with(json!({"bucket": "other", "expire_at": now(2)}))
        .await;

    let everything = set(&["a/1", "a/2", "a/3", "a/4", "a/5", "b/1", "b/2", "x/1"]);
    assert_eq!(keys(&gateway, "").await, everything);
    for (query, expected) in [
        (
            "bucket=local",
            &["a/1", "a/2", "a/3", "a/4", "b/1", "b/2"][..],
        ),
        ("bucket=local&prefix=a/", &["a/1", "a/2", "a/3", "a/4"]),
        ("bucket=local&prefix=a%2F&method=PUT", &["a/4"]),
        ("bucket=other", &["a/5", "x/1"]),
        ("bucket=unknown", &[]),
        ("tag=a", &["a/1", "a/2", "a/3"]),
        ("tag=all&method=PUT", &["a/4"]),
        ("tag=a%20b%26c", &["a/4"]),
        ("tag=al", &[]),
        ("method=HEAD", &["x/1"]),
        ("bucket=&tag=&method=HEAD", &["x/1"]),
    ] {
        assert_eq!(keys(&gateway, query).await, set(expected), "{query}");
    }
    until("expired", async || {
        keys(&gateway, "state=expired").await == set(&["a/5"])
    })
    .await;
    let mut active = everything.clone();
    active.remove("a/5");
    assert_eq!(keys(&gateway, "state=active").await, active);
}

#[tokio::test]
async fn used_up_tokens_are_exhausted() {
    let gateway = Gateway::start();
    gateway.place("k", "bytes");
    gateway
        .token("GET", "k")
        .with(json!({"token": "t", "max_hits": 1}))
        .await;
    assert!(keys(&gateway, "state=exhausted").await.is_empty());
    gateway.get("t").await;
    assert_eq!(keys(&gateway, "state=exhausted").await, set(&["k"]));
    assert!(keys(&gateway, "state=active").await.is_empty());
}

#[tokio::test]
async fn a_listing_shows_no_usable_token() {
    let gateway = Gateway::start();
    let token = gateway.token("GET", "k").set("token", "never-listed").await;
    let listed = page(&gateway, "").await;
    assert!(!listed.to_string().contains(&token));
    let row = &listed["tokens"][0];
    for field in ["token", "url", "status_url"] {
        assert!(row.get(field).is_none(), "{field} of {row}");
    }
    let mut record = gateway.record(&token).await;
    let record = record.as_object_mut().unwrap();
    record.remove("token");
    record.remove("url");
    assert_eq!(row.as_object().unwrap(), record);

    let id = row["token_id"].as_str().unwrap();
    let by_id = answer(gateway.control("GET", &format!("/tokens/{id}"))).await;
    assert_eq!(&by_id.json(), row);
    // A token id is no token.
    gateway.get(id).await.assert_error(404, "token_not_found");
    let as_token = answer(gateway.control("GET", &format!("/token/{id}"))).await;
    as_token.assert_error(404, "token_not_found");
}

#[tokio::test]
async fn wrong_queries_are_named() {
    let gateway = Gateway::start();
    for (query, part) in [
        ("limit=0", "limit"),
        ("limit=1001", "limit"),
        ("limit=x", "limit"),
        ("limit=", "limit"),
        ("method=get", "method"),
        ("state=dead", "state"),
        ("prefix=a", "bucket"),
        ("cursor=nonsense!", "cursor"),
        ("bukket=a", "bukket"),
    ] {
        let refused = answer(gateway.control("GET", &format!("/tokens?{query}"))).await;
        refused.assert_error(400, "bad_request").says(part);
    }
}
