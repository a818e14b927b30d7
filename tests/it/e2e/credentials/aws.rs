//! Keys that may change: from a file, and from Amazon's default chain.

use std::future::IntoFuture;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;

use axum::routing::get;
use axum::{Json, Router};
use http::HeaderMap;
use serde_json::json;

use super::{HeldS3, start, works};
use crate::support::api::{answer, until};

const PROFILES: &str = "[default]\naws_access_key_id = other\naws_secret_access_key = other\n\
    [gateway]\naws_access_key_id = test-access-key\naws_secret_access_key = test-secret-key\n";

#[tokio::test]
async fn from_a_file() {
    let s3 = HeldS3::start().await;
    let credential = json!({"source": "file", "file": "keys", "profile": "gateway"});
    let gateway = start(&s3, credential, &[], &[("keys", PROFILES)]);
    works(&gateway, &s3).await;

    std::fs::write(
        gateway.folder().join("keys"),
        "[gateway]\ntest-secret-key\n",
    )
    .unwrap();
    until("the broken file is in the log", async || {
        works(&gateway, &s3).await;
        gateway
            .log()
            .contains("keys of storage not read again; the last ones stay")
    })
    .await;
    works(&gateway, &s3).await;
    assert_eq!(gateway.log().matches("not read again").count(), 1);
}

#[tokio::test]
async fn from_a_profile_of_the_default_chain() {
    let s3 = HeldS3::start().await;
    let at = [("AWS_SHARED_CREDENTIALS_FILE", "keys")];
    let named = json!({"source": "default_chain", "profile": "gateway"});
    works(&start(&s3, named, &at, &[("keys", PROFILES)]), &s3).await;
    let at = [at[0], ("AWS_PROFILE", "gateway")];
    let unnamed = json!({"source": "default_chain"});
    works(&start(&s3, unnamed, &at, &[("keys", PROFILES)]), &s3).await;
}

#[tokio::test]
async fn from_a_container_through_the_default_chain() {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let keys = move |headers: HeaderMap| async move {
        assert_eq!(headers["authorization"], "test-authorization");
        count.fetch_add(1, Relaxed);
        Json(json!({
            "AccessKeyId": "test-access-key",
            "SecretAccessKey": "test-secret-key",
            "Token": "test-session-token",
            "Expiration": "2099-01-01T00:00:00Z",
        }))
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let uri = format!("http://{}/keys", listener.local_addr().unwrap());
    let router = Router::new().route("/keys", get(keys));
    tokio::spawn(axum::serve(listener, router).into_future());

    let s3 = HeldS3::start().await;
    let variables = [
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", uri.as_str()),
        ("AWS_CONTAINER_AUTHORIZATION_TOKEN", "test-authorization"),
    ];
    let gateway = start(&s3, json!({"source": "default_chain"}), &variables, &[]);
    works(&gateway, &s3).await;
    works(&gateway, &s3).await;
    assert_eq!(
        asked.load(Relaxed),
        1,
        "keys are remembered until they expire"
    );
    for secret in ["test-authorization", "test-session-token"] {
        assert!(
            !gateway.log().contains(secret),
            "{secret} in {}",
            gateway.log()
        );
    }
}

#[tokio::test]
async fn a_chain_that_finds_nothing_is_storage_that_refuses() {
    let s3 = HeldS3::start().await;
    let gateway = start(&s3, json!({"source": "default_chain"}), &[], &[]);
    let token = gateway.token("GET", "k", json!({"bucket": "s3"})).await;
    let refused = gateway.get(&token).await;
    refused.assert_error(502, "upstream_error");
    let ready = answer(gateway.plain("GET", "/readyz")).await;
    assert_eq!(ready.status, 200);
    assert!(
        String::from_utf8_lossy(&ready.body).contains("degraded"),
        "{ready:?}"
    );
}
