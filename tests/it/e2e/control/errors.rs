//! The rows of the error table that the control plane can answer; see also `auth` and `objects`.

use serde_json::json;

use crate::support::api::answer;
use crate::support::faulty_backend::{FAULTS, FaultyBackend};
use crate::support::gateway::Gateway;
use crate::support::in_process::InProcess;
use crate::support::scripted_storage::{self, ScriptedStorage};

#[tokio::test]
async fn a_request_id_is_echoed_or_generated() {
    let gateway = Gateway::start();
    let with = async |id: &str| {
        answer(
            gateway
                .control("GET", "/token/unknown")
                .header("x-request-id", id),
        )
        .await
    };
    let longest = "x".repeat(128);
    for id in ["abc-1", "!~", longest.as_str()] {
        let unknown = with(id).await;
        unknown.assert_error(404, "token_not_found");
        assert_eq!(unknown.header("x-request-id"), Some(id));
    }
    for id in ["", "has space", &"x".repeat(129)] {
        let unknown = with(id).await;
        unknown.assert_error(404, "token_not_found");
        let made = unknown.header("x-request-id").unwrap();
        assert!(uuid::Uuid::parse_str(made).is_ok(), "{made}");
    }
    let listed = answer(
        gateway
            .control("GET", "/tokens")
            .header("x-request-id", "ok"),
    )
    .await;
    assert_eq!(
        (listed.status, listed.header("x-request-id")),
        (200, Some("ok"))
    );
}

#[tokio::test]
async fn a_taken_token_is_409_and_an_unknown_one_404() {
    let gateway = Gateway::start();
    gateway.token("GET", "a").set("token", "mine").await;
    let again = gateway
        .create(json!({"token": "mine", "method": "GET", "key": "b"}))
        .await;
    again.assert_error(409, "token_exists");
    assert_eq!(gateway.record("mine").await["key"], "a");
    for (method, path) in [
        ("GET", "/token/unknown"),
        ("GET", "/token/unknown/status"),
        ("PATCH", "/token/unknown"),
        ("DELETE", "/token/unknown"),
        ("GET", "/tokens/00112233445566778899aabbccddeeff"),
        ("PATCH", "/tokens/00112233445566778899aabbccddeeff"),
        ("DELETE", "/tokens/00112233445566778899aabbccddeeff"),
        ("GET", "/tokens/no-id"),
    ] {
        let unknown = answer(gateway.control(method, path).json(&json!({}))).await;
        unknown.assert_error(404, "token_not_found");
    }
}

#[tokio::test]
async fn a_body_over_the_limit_is_413() {
    let gateway = Gateway::start();
    let body = format!("{{\"key\":\"{}\"}}", "x".repeat(10 << 20));
    for path in ["/token", "/tokens"] {
        let refused = answer(gateway.control("POST", path).body(body.clone())).await;
        refused.assert_error(413, "size_exceeded");
        // The same without a declared length.
        let pieces = futures_util::stream::iter(
            body.clone()
                .into_bytes()
                .chunks(1 << 16)
                .map(|piece| Ok::<_, std::io::Error>(bytes::Bytes::copy_from_slice(piece)))
                .collect::<Vec<_>>(),
        );
        let pieces = reqwest::Body::wrap_stream(pieces);
        let refused = answer(gateway.control("POST", path).body(pieces)).await;
        refused.assert_error(413, "size_exceeded");
    }
}

#[tokio::test]
async fn the_status_of_a_token_says_how_storage_fails() {
    let bucket = FaultyBackend::default();
    let gateway = InProcess::over(bucket.clone()).await;
    let token = gateway.token("GET", "a").await;
    let path = format!("/token/{token}/status");
    for (fault, status, code) in FAULTS {
        bucket.fail(fault);
        let failed = answer(gateway.control("GET", &path)).await;
        failed.assert_error(status, code);
        let text = failed.json().to_string();
        assert!(!text.contains("told to"), "{text}");
    }
    bucket.heal();
    assert_eq!(gateway.status(&token).await["object_exists"], false);
}

/// Storage that answers every PUT with one status line and everything else with another; no status hangs up.
async fn start_storage(put: &'static str, other: &'static str) -> ScriptedStorage {
    ScriptedStorage::start(move |asked| {
        let status = if asked.method == "PUT" { put } else { other };
        match status.is_empty() {
            true => Vec::new(),
            false => scripted_storage::answer(status, &[], ""),
        }
    })
    .await
}

fn over(storage: &ScriptedStorage) -> Gateway {
    through(storage, "opendal")
}

/// One gateway for each compiled adapter.
fn over_each(storage: &ScriptedStorage) -> impl Iterator<Item = Gateway> {
    let adapters: &[&str] = match cfg!(feature = "aws") {
        true => &["opendal", "aws"],
        false => &["opendal"],
    };
    adapters
        .iter()
        .map(move |adapter| through(storage, adapter))
}

fn through(storage: &ScriptedStorage, adapter: &str) -> Gateway {
    Gateway::with(json!({
        "credentials": {"c": {"access_key": "a", "secret_key": "never-shown"}},
        "buckets": {"local": {
            "provider": "s3", "bucket": "b", "region": "r", "credential": "c", "backend": adapter,
            "endpoint": storage.endpoint, "force_path_style": true}},
    }))
}

#[tokio::test]
async fn storage_that_answers_500_is_a_502() {
    let storage = start_storage("500 Broken", "500 Broken").await;
    let gateway = over(&storage);
    let get = gateway.token("GET", "a").max_hits(1).await;
    let put = gateway.token("PUT", "a").await;
    for _ in 0..2 {
        let failed = gateway.get(&get).await;
        failed.assert_error(502, "upstream_error");
    }
    assert_eq!(gateway.head(&get).await.status, 502);
    let status = answer(gateway.control("GET", &format!("/token/{get}/status"))).await;
    status.assert_error(502, "upstream_error");
    assert_eq!(gateway.used_hits(&get).await, 0);
    // Whether the object was stored is unknown: the hit stays reserved until storage answers.
    let failed = gateway.put(&put, "body").await;
    failed.assert_error(502, "upstream_error");
    let held = gateway.put(&put, "body").await;
    held.assert_error(409, "hits_exceeded");
    assert_eq!(gateway.used_hits(&put).await, 0);
    assert!(!gateway.log().contains("never-shown"));
}

#[tokio::test]
async fn an_upload_that_storage_refuses_frees_its_hit() {
    let storage = start_storage("500 Broken", "404 Missing").await;
    for gateway in over_each(&storage) {
        let put = gateway.token("PUT", "a").await;
        for _ in 0..2 {
            let failed = gateway.put(&put, "body").await;
            failed.assert_error(502, "upstream_error");
        }
        assert_eq!(gateway.status(&put).await["uploaded"], false);
    }
}

/// Storage may yet execute the request, so the hit must not go to another upload.
#[tokio::test]
async fn an_upload_whose_answer_is_lost_keeps_its_hit() {
    for storage in [
        start_storage("502 Broken", "404 Missing").await,
        start_storage("504 Broken", "404 Missing").await,
        start_storage("", "404 Missing").await,
    ] {
        for gateway in over_each(&storage) {
            let put = gateway.token("PUT", "a").await;
            let failed = gateway.put(&put, "body").await;
            failed.assert_error(502, "upstream_error");
            let held = gateway.put(&put, "body").await;
            held.assert_error(409, "hits_exceeded");
            assert_eq!(gateway.status(&put).await["uploaded"], false);
        }
    }
}
