//! Storage credentials from the environment, a file or a chain, against storage that verifies signatures.

#[cfg(feature = "aws")]
mod aws;

use serde_json::{Value, json};

use crate::support::gateway::Gateway;
use crate::support::s3::S3sServer;

/// Starts a gateway with `variables` and nothing else that Amazon's SDK would read.
fn start(
    s3: &S3sServer,
    credential: Value,
    variables: &[(&str, &str)],
    files: &[(&str, &str)],
) -> Gateway {
    let mut builder = Gateway::builder().with(s3.sections(json!({})));
    let home = builder.folder().display().to_string();
    builder = builder
        .with(json!({"credentials": {"test": credential}}))
        .variable("HOME", home)
        .variable("AWS_EC2_METADATA_DISABLED", "true");
    for (name, content) in files {
        std::fs::write(builder.folder().join(name), content).unwrap();
    }
    for (name, value) in variables {
        builder = builder.variable(name, *value);
    }
    builder.start()
}

/// Uploads and downloads, and checks that no secret key is logged.
async fn works(gateway: &Gateway, s3: &S3sServer) {
    let fields = json!({"bucket": "s3", "max_hits": 3});
    let put = gateway.token("PUT", "k").with(fields.clone()).await;
    let stored = gateway.put(&put, "content").await;
    assert_eq!(stored.status, 200, "{stored:?}: {}", gateway.log());
    assert_eq!(s3.object("k").as_deref(), Some(&b"content"[..]));
    let token = gateway.token("GET", "k").with(fields).await;
    assert_eq!(gateway.get(&token).await.body, "content");
    assert_eq!(gateway.head(&token).await.status, 200);
    assert!(
        !gateway.log().contains("test-secret-key"),
        "{}",
        gateway.log()
    );
}

#[tokio::test]
async fn credentials_from_the_environment() {
    let s3 = S3sServer::start().await;
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
