//! Keys that a bucket can never hold are refused when a token is created.

use serde_json::{Value, json};

use crate::support::api::answer;
use crate::support::gateway::Gateway;

/// These buckets are never called: creating a token needs no storage.
fn gateway() -> Gateway {
    let remote = |provider: &str, backend: &str| {
        json!({"provider": provider, "backend": backend, "bucket": "b", "region": "r",
            "credential": "c"})
    };
    let mut buckets = json!({
        "memory": {"provider": "memory"},
        "s3": remote("s3", "opendal"),
        "cos": remote("cos", "opendal"),
        "oss": remote("oss", "opendal"),
    });
    if cfg!(feature = "aws") {
        buckets["s3-aws"] = remote("s3", "aws");
        buckets["cos-aws"] = remote("cos", "aws");
    }
    let folder = tempfile::tempdir().unwrap();
    buckets["fs"] = json!({"provider": "fs", "root": folder.path().join("objects")});
    Gateway::with(json!({
        "credentials": {"c": {"access_key": "a", "secret_key": "s"}},
        "buckets": buckets,
    }))
}

fn of_bytes(bytes: usize) -> String {
    let mut key = format!("{}/", "n".repeat(199)).repeat(bytes / 200 + 1);
    key.truncate(bytes - 1);
    key + "n"
}

/// Bucket, key, and a word of the refusal.
fn refused() -> Vec<(&'static str, String, &'static str)> {
    let mut refused = vec![
        ("fs", "x//y".into(), "empty segment"),
        ("fs", "trail/".into(), "empty segment"),
        ("fs", format!("a/{}", "n".repeat(256)), "255 bytes"),
        ("s3", "x//y".into(), "`//`"),
        ("s3", "folder/".into(), "slash at its end"),
        ("oss", "a//b.txt".into(), "`//`"),
        ("s3", " blank".into(), "blanks"),
        ("s3", "blank ".into(), "blanks"),
        ("cos", of_bytes(851), "850 bytes"),
        ("cos", "\\front".into(), "backslash"),
        ("oss", of_bytes(1024), "1023 bytes"),
        ("oss", "\\front".into(), "backslash"),
    ];
    if cfg!(feature = "aws") {
        refused.extend([
            ("cos-aws", of_bytes(851), "850 bytes"),
            ("cos-aws", "\\front".into(), "backslash"),
        ]);
    }
    refused
}

#[tokio::test]
async fn an_impossible_key_is_refused_with_the_reason() {
    let gateway = gateway();
    for (bucket, key, why) in refused() {
        let fields = json!({"bucket": bucket, "key": key, "method": "PUT"});
        let refused = gateway.create(fields.clone()).await;
        refused
            .assert_error(400, "bad_request")
            .says("key: ")
            .says(why);
        let good = json!({"bucket": bucket, "key": "good", "method": "PUT"});
        let batch = gateway.control("POST", "/tokens");
        let refused = answer(batch.json(&json!({"tokens": [good, fields]}))).await;
        refused
            .assert_error(400, "bad_request")
            .says("tokens[1]: key: ")
            .says(why);
    }
    let listed = answer(gateway.control("GET", "/tokens")).await.json();
    assert_eq!(listed["tokens"], Value::Array(Vec::new()));
}

#[tokio::test]
async fn other_keys_are_accepted() {
    let gateway = gateway();
    let mut good: Vec<(&str, String)> = vec![
        ("memory", "x//y/".into()),
        ("memory", " blank ".into()),
        ("fs", " blank ".into()),
        ("fs", format!("a/{}", "n".repeat(255))),
        ("s3", of_bytes(1024)),
        ("s3", "\\front".into()),
        ("cos", of_bytes(850)),
        ("oss", of_bytes(1023)),
    ];
    if cfg!(feature = "aws") {
        good.extend([
            ("s3-aws", "x//y".into()),
            ("s3-aws", "folder/".into()),
            ("s3-aws", " blank ".into()),
            ("cos-aws", of_bytes(850)),
        ]);
    }
    for (bucket, key) in good {
        let fields = json!({"bucket": bucket, "method": "PUT"});
        gateway.token("PUT", &key).with(fields).await;
    }
}
