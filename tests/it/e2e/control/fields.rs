//! Fields of `POST /token`, valid and invalid.

use serde_json::{Value, json};

use crate::support::api::{answer, now};
use crate::support::gateway::Gateway;

#[tokio::test]
async fn every_wrong_field_is_named() {
    let gateway = Gateway::start();
    let long = "x".repeat(1025);
    let tags: Vec<_> = (0..11).map(|n| n.to_string()).collect();
    for (field, value) in [
        ("token", json!("has space")),
        ("token", json!(".")),
        ("token", json!("..")),
        ("token", json!("a/b")),
        ("token", json!("x".repeat(129))),
        ("token", json!(7)),
        ("bucket", json!("unknown")),
        ("bucket", json!("")),
        ("bucket", json!(null)),
        ("key", json!("")),
        ("key", json!(long)),
        ("key", json!("/absolute")),
        ("key", json!("a/../b")),
        ("key", json!("..")),
        ("key", json!("a/./b")),
        ("key", json!("nul\0")),
        ("key", json!("line\nbreak")),
        ("filename", json!("a\r\nSet-Cookie: x")),
        ("method", json!("")),
        ("method", json!("get")),
        ("method", json!("DELETE")),
        ("expire_at", json!(1)),
        ("expire_at", json!(-1)),
        ("expire_at", json!(now(-1))),
        ("expire_at", json!("tomorrow")),
        ("max_hits", json!(0)),
        ("max_hits", json!(-2)),
        ("max_hits", json!(1.5)),
        ("size", json!(0)),
        ("size", json!(-5)),
        ("callback", json!("ftp://example.com/")),
        ("callback", json!("/relative")),
        ("callback", json!("http://")),
        ("disposition", json!("download")),
        ("content_type", json!("nonsense")),
        ("allow_overwrite", json!("yes")),
        ("not_before", json!(-1)),
        ("not_before", json!(now(10_000))),
        ("allowed_ips", json!(["10.0.0.0/33"])),
        ("allowed_ips", json!("10.0.0.0/8")),
        ("allowed_referers", json!(["example.com"])),
        ("delivery", json!("pigeon")),
        ("hit_window", json!(-1)),
        ("hit_window", json!(86_401)),
        ("hit_window", json!(i64::MAX)),
        ("hit_on", json!("end")),
        ("metadata", json!({"a": "x".repeat(2048)})),
        ("metadata", json!({"a": {"nested": "b"}})),
        ("metadata", json!(["a"])),
        ("tags", json!(tags)),
        ("tags", json!([""])),
        ("tags", json!(["new\nline"])),
    ] {
        let mut body = json!({"bucket": "local", "key": "k", "method": "GET"});
        body[field] = value;
        let refused = answer(gateway.control("POST", "/token").json(&body)).await;
        refused.assert_error(400, "bad_request").says(field);
    }
    let listed = answer(gateway.control("GET", "/tokens")).await;
    assert_eq!(listed.json(), json!({"tokens": [], "cursor": null}));
}

#[tokio::test]
async fn hit_window_and_hit_on_complete_exclude_each_other() {
    let gateway = Gateway::start();
    let both = json!({"key": "k", "method": "GET", "hit_window": 5, "hit_on": "complete"});
    gateway
        .create(both)
        .await
        .assert_error(400, "bad_request")
        .says("hit_window");
}

#[tokio::test]
async fn an_unknown_field_is_named_or_ignored_by_configuration() {
    let mistyped = json!({"key": "k", "method": "GET", "max_hit": 1});
    let gateway = Gateway::start();
    gateway
        .create(mistyped.clone())
        .await
        .assert_error(400, "bad_request")
        .says("`max_hit`");
    let mut patch = mistyped.clone();
    patch["token"] = json!("t");
    let token = gateway.token("GET", "k").await;
    let path = format!("/token/{token}");
    let changed = answer(gateway.control("PATCH", &path).json(&json!({"size": 5}))).await;
    changed.assert_error(400, "bad_request").says("`size`");

    let control = json!({"tokens": [crate::support::api::CONTROL], "unknown_fields": "ignore"});
    let gateway = Gateway::with(json!({"control": control}));
    assert_eq!(gateway.create(mistyped).await.status, 201);
    // Known fields are still checked.
    let wrong = json!({"key": "k", "method": "GET", "more": 1, "max_hits": 0});
    gateway
        .create(wrong)
        .await
        .assert_error(400, "bad_request")
        .says("max_hits");
}

#[tokio::test]
async fn requested_fields_are_shown() {
    let gateway = Gateway::start();
    let expire_at = now(5000);
    let not_before = now(100);
    let asked = json!({
        "token": "A-z_0.9~", "key": "目录/文件 #1?.bin", "filename": "文件.bin", "method": "GET",
        "expire_at": expire_at, "max_hits": 7, "size": 100, "callback": "https://h.example/x?y=z",
        "disposition": "inline", "content_type": "text/plain; charset=utf-8",
        "allow_overwrite": false, "not_before": not_before, "allowed_ips": ["10.0.0.0/8", "::1"],
        "allowed_referers": ["https://a.example/"], "delivery": "proxy", "hit_on": "complete",
        "metadata": {"order": "7", "empty": ""}, "tags": ["b", "a", "b"],
    });
    assert_eq!(gateway.create(asked.clone()).await.status, 201);
    let shown = gateway.record("A-z_0.9~").await;
    for (field, value) in asked.as_object().unwrap() {
        let expected = match field.as_str() {
            "tags" => json!(["a", "b"]),
            "allowed_ips" => json!(["10.0.0.0/8", "::1/128"]),
            "delivery" => continue,
            _ => value.clone(),
        };
        assert_eq!(shown[field], expected, "{field} of {shown}");
    }
    let window = json!({"hit_window": 86_400, "token": "window"});
    gateway.token("GET", "k").with(window).await;
    assert_eq!(gateway.record("window").await["hit_window"], 86_400);
}

#[tokio::test]
async fn fields_of_features_that_are_not_built_are_named() {
    let gateway = Gateway::start();
    for (field, value) in [
        ("process", json!("image/resize,w_1")),
        ("delivery", json!("redirect")),
    ] {
        let mut body = json!({"key": "k", "method": "GET"});
        body[field] = value;
        let refused = gateway.create(body).await;
        refused.assert_error(400, "bad_request").says(field);
    }
}

#[tokio::test]
async fn the_body_must_be_a_json_object_in_utf_8() {
    let gateway = Gateway::start();
    for body in [
        &b""[..],
        b"{",
        b"[]",
        b"[{\"bucket\":\"local\",\"key\":\"k\",\"method\":\"GET\"}]",
        b"null",
        b"\"text\"",
        b"{\"bucket\":\"local\",\"key\":\"\xff\xfe\",\"method\":\"GET\"}",
        b"{\"bucket\":\"local\",\"key\":\"k\",\"method\":\"GET\"} trailing",
        b"{'bucket':'local'}",
    ] {
        let refused = answer(gateway.control("POST", "/token").body(body.to_vec())).await;
        refused.assert_error(400, "bad_request").says("JSON");
    }
    // The request's content type does not matter.
    let valid: Value = json!({"bucket": "local", "key": "k", "method": "GET"});
    let created = gateway.control("POST", "/token").body(valid.to_string());
    assert_eq!(answer(created).await.status, 201);
}
