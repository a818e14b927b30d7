//! Parameters and JSON keys that are duplicate or empty.

use serde_json::json;

use crate::support::api::answer;
use crate::support::gateway::Gateway;

#[tokio::test]
async fn an_empty_parameter_revokes_nothing() {
    let gateway = Gateway::start();
    let kept = gateway.token("GET", "a/1").set("tags", ["t"]).await;
    for (query, named) in [
        ("tag=&bucket=local", "`tag`"),
        ("bucket=local&prefix=", "`prefix`"),
        ("bucket=&tag=", "`bucket`"),
        ("bucket=local&all=", "`all`"),
        ("bucket=local&all", "`all`"),
        ("tag", "`tag`"),
        ("bucket=local", "all=true"),
        ("", "all=true"),
        ("all=true", "bucket"),
        ("bucket=local&all=false", "true"),
        ("bucket=local&all=1", "true"),
        ("bucket=local&all=true&prefix=b", "prefix"),
        ("bucket=local&all=true&tag=other", "tag"),
    ] {
        let refused = answer(gateway.control("DELETE", &format!("/tokens?{query}"))).await;
        refused.assert_error(400, "bad_request").says(named);
    }
    assert_eq!(gateway.record(&kept).await["key"], "a/1");
    let whole = answer(gateway.control("DELETE", "/tokens?bucket=local&all=true")).await;
    assert_eq!(whole.json(), json!({"deleted": 1}));
}

#[tokio::test]
async fn an_empty_parameter_is_refused_by_calls_that_change_something() {
    let gateway = Gateway::start();
    let token = gateway.token("GET", "a").await;
    let id = gateway.record(&token).await["token_id"].clone();
    let id = id.as_str().unwrap();
    for (method, path) in [
        ("POST", "/token".to_owned()),
        ("POST", "/tokens".to_owned()),
        ("PATCH", format!("/token/{token}")),
        ("PATCH", format!("/tokens/{id}")),
        ("DELETE", format!("/token/{token}")),
        ("DELETE", format!("/tokens/{id}")),
        ("POST", "/callbacks/replay".to_owned()),
        ("POST", "/callbacks/evt_0/replay".to_owned()),
    ] {
        let request = gateway.control(method, &format!("{path}?since="));
        let refused = answer(request.json(&json!({}))).await;
        refused.assert_error(400, "bad_request").says("`since`");
    }
    assert_eq!(gateway.record(&token).await["key"], "a");
    // In calls that change nothing, an empty value means all.
    for path in ["/tokens?tag=&cursor=", "/callbacks?state=&cursor="] {
        assert_eq!(answer(gateway.control("GET", path)).await.status, 200);
    }
}

#[tokio::test]
async fn a_duplicate_parameter_is_named() {
    let gateway = Gateway::start();
    let token = gateway.token("GET", "a").set("tags", ["t"]).await;
    for (method, query, named) in [
        ("DELETE", "/tokens?tag=t&tag=u", "`tag`"),
        ("DELETE", "/tokens?tag=u&%74ag=t", "`tag`"),
        ("DELETE", "/tokens?tag=t&tag=t", "`tag`"),
        ("DELETE", "/tokens?bucket=local&all=true&all=true", "`all`"),
        ("GET", "/tokens?limit=1&limit=2", "`limit`"),
        ("GET", "/tokens?tag=&tag=t", "`tag`"),
        ("GET", "/callbacks?state=dead&state=pending", "`state`"),
        ("GET", "/callbacks?limit=1&l%69mit=1", "`limit`"),
        ("GET", "/callbacks/evt_0?x=1&x=1", "`x`"),
        ("POST", "/callbacks/replay?since=9&since=0", "`since`"),
    ] {
        let refused = answer(gateway.control(method, query)).await;
        refused.assert_error(400, "bad_request").says(named);
    }
    assert_eq!(gateway.record(&token).await["key"], "a");
}

#[tokio::test]
async fn a_duplicate_json_key_is_named_and_changes_nothing() {
    let gateway = Gateway::start();
    let token = gateway.token("GET", "a").max_hits(3).await;
    let one = r#""bucket": "local", "method": "GET""#;
    let send = async |method: &str, path: &str, body: &str| {
        let request = gateway.control(method, path);
        let request = request.header("content-type", "application/json");
        answer(request.body(body.to_owned())).await
    };
    for (method, path, body, named) in [
        (
            "POST",
            "/token",
            format!(r#"{{{one}, "key": "a", "key": "b"}}"#),
            "`key`",
        ),
        (
            "POST",
            "/token",
            format!(r#"{{{one}, "key": "a", "k\u0065y": "a"}}"#),
            "`key`",
        ),
        (
            "POST",
            "/token",
            format!(r#"{{{one}, "key": "a", "max_hits": null, "max_hits": 1}}"#),
            "`max_hits`",
        ),
        (
            "POST",
            "/token",
            format!(r#"{{{one}, "key": "a", "metadata": {{"n": "1", "m": "", "n": "2"}}}}"#),
            "`n`",
        ),
        (
            "POST",
            "/tokens",
            format!(r#"{{"tokens": [{{{one}, "key": "a"}}, {{{one}, "key": "b", "key": "c"}}]}}"#),
            "`key`",
        ),
        (
            "POST",
            "/tokens",
            r#"{"tokens": [], "tokens": []}"#.to_owned(),
            "`tokens`",
        ),
        (
            "PATCH",
            &format!("/token/{token}"),
            r#"{"max_hits": 9, "max_hits": 8}"#.to_owned(),
            "`max_hits`",
        ),
        (
            "PATCH",
            &format!("/token/{token}"),
            r#"{"metadata": {"n": "1", "n": "1"}}"#.to_owned(),
            "`n`",
        ),
    ] {
        let refused = send(method, path, &body).await;
        refused
            .assert_error(400, "bad_request")
            .says(named)
            .says("twice");
    }
    assert_eq!(gateway.record(&token).await["max_hits"], 3);
    let listed = answer(gateway.control("GET", "/tokens")).await.json();
    assert_eq!(listed["tokens"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn ignoring_unknown_fields_does_not_allow_duplicate_keys() {
    let gateway = Gateway::with(json!({
        "control": {"tokens": [crate::support::api::CONTROL], "unknown_fields": "ignore"}}));
    let body = r#"{"bucket": "local", "method": "GET", "key": "a", "more": 1, "more": 2}"#;
    let refused = answer(gateway.control("POST", "/token").body(body)).await;
    refused.assert_error(400, "bad_request").says("`more`");
}
