//! Keys that the process finds for itself, against storage that verifies signatures.

use std::future::IntoFuture;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;

use axum::routing::get;
use axum::{Json, Router};
use http::HeaderMap;
use serde_json::{Value, json};

use super::crash::held_s3::HeldS3;
#[cfg(feature = "aws")]
use crate::support::api::{answer, until};
use crate::support::gateway::{Gateway, configuration};
use crate::support::process::command;

/// Starts with `variables` and nothing else that Amazon's SDKs would look at.
fn start(
    s3: &HeldS3,
    credential: Value,
    variables: &[(&str, &str)],
    files: &[(&str, &str)],
) -> Gateway {
    let folder = Arc::new(tempfile::tempdir().unwrap());
    let mut whole = configuration(folder.path());
    whole["credentials"] = json!({"test": credential});
    whole["buckets"] = serde_yaml::from_str(&s3.bucket()).unwrap();
    let config = folder.path().join("config.yaml");
    std::fs::write(&config, whole.to_string()).unwrap();
    for (name, content) in files {
        std::fs::write(folder.path().join(name), content).unwrap();
    }
    let mut command = command();
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("AWS_") {
            command.env_remove(name);
        }
    }
    command
        .arg("--config")
        .arg(config)
        .current_dir(folder.path())
        .env("HOME", folder.path())
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .envs(variables.iter().copied());
    Gateway::run(command, folder)
}

/// An upload and a download; nothing of a key gets into the log.
async fn works(gateway: &Gateway, s3: &HeldS3) {
    let fields = json!({"bucket": "s3", "max_hits": 3});
    let put = gateway.token("PUT", "k", fields.clone()).await;
    let stored = gateway.put(&put, "content").await;
    assert_eq!(stored.status, 200, "{stored:?}: {}", gateway.log());
    assert_eq!(s3.object("k").as_deref(), Some(&b"content"[..]));
    let token = gateway.token("GET", "k", fields).await;
    assert_eq!(gateway.get(&token).await.body, "content");
    assert!(
        !gateway.log().contains("test-secret-key"),
        "{}",
        gateway.log()
    );
}

#[tokio::test]
async fn from_the_environment() {
    let s3 = HeldS3::start().await;
    let keys = [
        ("AWS_ACCESS_KEY_ID", "test-access-key"),
        ("AWS_SECRET_ACCESS_KEY", "test-secret-key"),
    ];
    works(
        &start(&s3, json!({"source": "environment"}), &keys, &[]),
        &s3,
    )
    .await;
}

#[cfg(feature = "aws")]
const PROFILES: &str = "[default]\naws_access_key_id = other\naws_secret_access_key = other\n\
    [gateway]\naws_access_key_id = test-access-key\naws_secret_access_key = test-secret-key\n";

#[cfg(feature = "aws")]
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

#[cfg(feature = "aws")]
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

#[cfg(feature = "aws")]
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

#[cfg(feature = "aws")]
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
