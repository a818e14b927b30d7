//! Keys that the process finds for itself, against storage that verifies signatures.

#[cfg(feature = "aws")]
mod aws;

use std::sync::Arc;

use serde_json::{Value, json};

use crate::support::gateway::{Gateway, configuration};
use crate::support::pausing_s3::PausingS3;
use crate::support::process::command;

/// Starts with `variables` and nothing else that Amazon's SDKs would look at.
fn start(
    s3: &PausingS3,
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
async fn works(gateway: &Gateway, s3: &PausingS3) {
    let fields = json!({"bucket": "s3", "max_hits": 3});
    let put = gateway.token("PUT", "k", fields.clone()).await;
    let stored = gateway.put(&put, "content").await;
    assert_eq!(stored.status, 200, "{stored:?}: {}", gateway.log());
    assert_eq!(s3.object("k").as_deref(), Some(&b"content"[..]));
    let token = gateway.token("GET", "k", fields).await;
    assert_eq!(gateway.get(&token).await.body, "content");
    assert_eq!(gateway.head(&token).await.status, 200);
    assert!(
        !gateway.log().contains("test-secret-key"),
        "{}",
        gateway.log()
    );
}

#[tokio::test]
async fn from_the_environment() {
    let s3 = PausingS3::start().await;
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
