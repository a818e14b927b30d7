//! Malicious input: refused with a clear error, nothing stored, nothing leaked.

use serde_json::{Value, json};

use crate::support::api::{CONTROL, answer};
use crate::support::gateway::Gateway;

#[tokio::test]
async fn keys_and_file_names_cannot_traverse_paths() {
    let gateway = Gateway::start();
    for (field, value) in [
        ("key", json!("../outside")),
        ("key", json!("a/../../outside")),
        ("key", json!("/etc/passwd")),
        ("key", json!("nul\u{0}byte")),
        ("key", json!("..")),
        ("key", json!(".")),
        ("key", json!("a\u{7f}b")),
        ("key", json!("a\u{85}b")),
        ("filename", json!("a\r\nX-Evil: 1")),
        ("filename", json!("a\u{0}b")),
        ("token", json!("a\r\nX-Evil: 1")),
        ("callback", json!("http://a.example/\r\nX-Evil: 1\r\n")),
        ("content_type", json!("text/html\r\nX-Evil: 1")),
        ("metadata", json!({"a": 5})),
        ("size", json!(-2)),
        ("size", json!(i64::MIN)),
        ("max_hits", json!(-7)),
        ("max_hits", json!(1e300)),
        ("expire_at", json!(-5)),
        ("expire_at", json!(18_446_744_073_709_551_615_u64)),
    ] {
        for method in ["GET", "PUT"] {
            let mut body = json!({"bucket": "local", "key": "k", "method": method});
            body[field] = value.clone();
            let made = answer(gateway.control("POST", "/token").json(&body)).await;
            made.assert_error(400, "bad_request").says(field);
        }
    }
    assert_eq!(gateway.files(), [""; 0]);
}

#[tokio::test]
async fn a_key_that_the_bucket_cannot_hold_is_refused_and_its_status_says_absent() {
    let gateway = Gateway::start();
    gateway.place("file", "bytes");
    let long = "x".repeat(300);
    for key in [long.as_str(), "dir/"] {
        for method in ["PUT", "GET", "HEAD"] {
            let refused = gateway.create(json!({"key": key, "method": method})).await;
            refused.assert_error(400, "bad_request").says("key");
        }
    }
    // Only storage knows which object is in the way.
    for key in ["file/below"] {
        let token = gateway.token("PUT", key).await;
        let refused = gateway.put(&token, "x").await;
        refused.assert_error(400, "bad_request").says("key");
        let get = gateway.token("GET", key).await;
        let absent = gateway.get(&get).await;
        absent.assert_error(404, "object_not_found");
        let status = gateway.status(&token).await;
        for (field, value) in [
            ("uploaded", json!(false)),
            ("object_exists", json!(false)),
            ("object_size", json!(0)),
            ("etag", json!("")),
            ("used_hits", json!(0)),
        ] {
            assert_eq!(status[field], value, "{field} of {status}");
        }
    }
    assert_eq!(gateway.files(), ["file"]);
}

/// Keys with a meaning to a file system or a shell.
#[tokio::test]
async fn unusual_keys_are_stored_below_the_bucket_or_refused() {
    let gateway = Gateway::start();
    for key in [
        "a//b",
        "dir/",
        " ",
        "a b",
        "~",
        "-rf",
        "$(id)",
        "a\\..\\b",
        "C:\\x",
        ".hidden",
        "...",
        "a/.../b",
        "%2e%2e/x",
        "😀",
        "con",
        ".asset-gateway/x",
        ".asset-gateway/tmp/x.part",
    ] {
        let token = gateway.create(json!({"key": key, "method": "PUT"})).await;
        if token.status == 400 {
            continue;
        }
        let token = token.json()["token"].as_str().unwrap().to_owned();
        let put = gateway.put(&token, key.to_owned()).await;
        if put.status == 400 {
            put.assert_error(400, "bad_request");
            continue;
        }
        assert_eq!(put.status, 200, "{key}: {put:?}");
        let get = gateway.token("GET", key).await;
        assert_eq!(gateway.get(&get).await.body, key, "{key}");
    }
    // Nothing is outside the bucket's folder, and reserved files were not written.
    let mut beside: Vec<_> = std::fs::read_dir(gateway.folder())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    beside.sort();
    assert_eq!(beside, ["config.yaml", "objects", "tokens"]);
    assert!(
        !gateway
            .files()
            .iter()
            .any(|file| file.starts_with(".asset-gateway"))
    );
}

/// Names that a file system may resolve to the gateway's reserved folder.
#[tokio::test]
async fn reserved_keys_get_no_token() {
    let gateway = Gateway::start();
    for name in [
        ".asset-gateway",
        ".Asset-Gateway",
        ".ASSET-GATEWAY",
        ".asset-gateway.",
        ".asset-gateway..",
        ".asset-gateway ",
        ".asset-gateway. ",
        ".asset-gateway::$INDEX_ALLOCATION",
        "ASSET-~1",
        ".a\u{df}et-gateway",
        ".a\u{17f}\u{17f}et-gateway",
        "\u{2024}asset-gateway",
        "\u{ff0e}\u{ff41}\u{ff53}\u{ff53}\u{ff45}\u{ff54}-gateway",
        ".asset\u{200d}-gateway",
        ".asset-gatew\u{ad}ay",
        ".staging",
        ".Staging.",
        ".stag\u{200b}ing",
    ] {
        for rest in ["/tmp/1-2-3.part", "/types/7", "/x"] {
            for method in ["GET", "HEAD", "PUT"] {
                let key = format!("{name}{rest}");
                let made = gateway.create(json!({"key": key, "method": method})).await;
                made.assert_error(400, "bad_request").says("reserved");
            }
        }
    }
    // Below the root the name is not reserved.
    let free = gateway.token("PUT", "x/.asset-gateway/y").await;
    assert_eq!(gateway.put(&free, "x").await.status, 200);
}

#[tokio::test]
async fn numbers_at_their_limits_are_accepted_or_refused() {
    let gateway = Gateway::start();
    gateway.place("k", "bytes");
    let most = json!({"max_hits": i64::MAX, "size": i64::MAX, "expire_at": i64::MAX,
        "hit_window": i64::MAX});
    let made = gateway
        .create(merge(most, json!({"key": "k", "method": "GET"})))
        .await;
    if made.status == 201 {
        let token = made.json()["token"].as_str().unwrap().to_owned();
        assert_eq!(gateway.get(&token).await.status, 200);
        assert_eq!(gateway.record(&token).await["max_hits"], i64::MAX);
        assert_eq!(gateway.status(&token).await["object_exists"], true);
    } else {
        made.assert_error(400, "bad_request");
    }
    let complete = json!({"max_hits": i64::MAX, "hit_on": "complete", "key": "k", "method": "GET"});
    let token = gateway.create(complete).await.json()["token"]
        .as_str()
        .unwrap()
        .to_owned();
    assert_eq!(gateway.get(&token).await.status, 200);
    assert!(!gateway.log().contains("panicked"));
}

fn merge(mut one: Value, other: Value) -> Value {
    one.as_object_mut()
        .unwrap()
        .append(&mut other.as_object().unwrap().clone());
    one
}

#[tokio::test]
async fn deeply_nested_json_is_refused() {
    let gateway = Gateway::start();
    for body in [
        "[".repeat(100_000),
        format!("{{\"metadata\":{}", "{\"a\":".repeat(30_000)),
    ] {
        let refused = answer(gateway.control("POST", "/token").body(body)).await;
        refused.assert_error(400, "bad_request");
    }
    let twice = "{\"bucket\":\"local\",\"key\":\"a\",\"key\":\"b\",\"method\":\"GET\"}";
    let made = answer(gateway.control("POST", "/token").body(twice)).await;
    made.assert_error(400, "bad_request");
    assert!(!gateway.log().contains(CONTROL));
}
