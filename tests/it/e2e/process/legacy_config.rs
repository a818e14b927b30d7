//! The minimal configuration and the command line of the first AssetGateway, word for word.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::support::api::{answer, now};
use crate::support::gateway::Gateway;
use crate::support::process::command;
use crate::support::redis::server::Server;

const MINIMAL: &str = include_str!("legacy_config.yaml");

fn folder() -> Arc<tempfile::TempDir> {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("config.yaml"), MINIMAL).unwrap();
    Arc::new(folder)
}

#[test]
fn the_legacy_configuration_is_valid() {
    let folder = folder();
    for arguments in [
        ["check", "-config", "config.yaml"],
        ["check", "--config", "config.yaml"],
    ] {
        let mut command = command();
        command.args(arguments).current_dir(folder.path());
        let output = command.output().unwrap();
        assert!(output.status.success(), "{output:?}");
        assert_eq!(output.stdout, b"configuration is valid\n");
    }
}

/// `asset-gateway -config config.yaml`; only the two addresses differ.
fn start(redis: &Server) -> Gateway {
    let folder = folder();
    let mut command = command();
    command
        .args(["-config", "config.yaml"])
        .current_dir(folder.path())
        .env("ASSET_GATEWAY__SERVER__LISTEN", ":0")
        .env("ASSET_GATEWAY__REDIS__ADDR", redis.address());
    Gateway::run(command, folder)
}

async fn call(gateway: &Gateway, method: &str, path: &str, body: Option<&Value>) -> (u16, Value) {
    let mut request = gateway.plain(method, path).bearer_auth("control-token-1");
    if let Some(body) = body {
        request = request.json(body);
    }
    let answer = answer(request).await;
    let body = match answer.body.is_empty() {
        true => Value::Null,
        false => answer.json(),
    };
    (answer.status, body)
}

fn fields(of: &Value) -> BTreeSet<&str> {
    of.as_object().unwrap().keys().map(String::as_str).collect()
}

#[tokio::test]
async fn legacy_requests_get_legacy_answers() {
    let redis = Server::start();
    let gateway = start(&redis);
    let health = answer(gateway.plain("GET", "/healthz")).await;
    assert_eq!(
        (health.status, health.json()),
        (200, json!({"status": "ok"}))
    );

    let expire_at = now(1800);
    let request = json!({
        "bucket": "prod-assets",
        "key": "videos/demo.mp4",
        "filename": "demo.mp4",
        "method": "GET",
        "expire_at": expire_at,
        "max_hits": 3,
        "size": -1,
        "callback": "https://example.com/webhook/asset"
    });
    let (status, made) = call(&gateway, "POST", "/token", Some(&request)).await;
    assert_eq!(status, 201, "{made}");
    let token = made["token"].as_str().unwrap();
    let first = ["token", "method", "filename", "expire_at", "url"];
    let more = ["status_url", "token_id"];
    assert_eq!(fields(&made), first.into_iter().chain(more).collect());
    assert_eq!(token.len(), 28);
    let url = format!("https://gateway.example.com/object/{token}");
    let expected = json!({"token": token, "method": "GET", "filename": "demo.mp4",
        "expire_at": expire_at, "url": url});
    for field in first {
        assert_eq!(made[field], expected[field], "{field}");
    }

    let (status, shown) = call(&gateway, "GET", &format!("/token/{token}"), None).await;
    assert_eq!(status, 200, "{shown}");
    for (field, value) in request.as_object().unwrap() {
        assert_eq!(shown[field], *value, "{field}");
    }
    assert_eq!(
        (&shown["used_hits"], &shown["url"]),
        (&json!(0), &json!(url))
    );

    let (status, _) = call(&gateway, "DELETE", &format!("/token/{token}"), None).await;
    assert_eq!(status, 204);
    gateway
        .get(token)
        .await
        .assert_error(404, "token_not_found");
}

#[tokio::test]
async fn the_shortest_legacy_request_gets_legacy_defaults() {
    let redis = Server::start();
    let gateway = start(&redis);
    let request = json!({
        "bucket": "prod-assets",
        "key": "videos/demo.mp4",
        "filename": "demo.mp4",
        "method": "GET"
    });
    let (before, (status, made)) = (
        now(1800),
        call(&gateway, "POST", "/token", Some(&request)).await,
    );
    assert_eq!(status, 201, "{made}");
    let expire_at = made["expire_at"].as_i64().unwrap();
    assert!((before..=now(1800)).contains(&expire_at));
    let path = format!("/token/{}", made["token"].as_str().unwrap());
    let (_, shown) = call(&gateway, "GET", &path, None).await;
    let defaults = json!({"max_hits": -1, "size": -1, "callback": "", "used_hits": 0});
    for (field, value) in defaults.as_object().unwrap() {
        assert_eq!(shown[field], *value, "{field}");
    }
}
