//! A credentials file that another program rewrites while requests go on.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use asset_gateway_backends::BackendError;
use asset_gateway_backends::object_backend::{GetOptions, ObjectBackend, PutOptions};
use asset_gateway_backends::open::open_bucket;
use asset_gateway_backends::settings::{BucketSettings, CredentialSettings};
use bytes::Bytes;

use crate::support::s3s_server::S3sServer;
use crate::support::{ACCESS_KEY, SECRET_KEY, aws_settings};

fn write(path: &Path, access_key: &str, secret_key: &str) {
    let text = format!(
        "[default]\naws_access_key_id = of-nobody\naws_secret_access_key = s\n\
         [gateway]\naws_access_key_id = {access_key}\naws_secret_access_key = {secret_key}\n"
    );
    std::fs::write(path, text).unwrap();
}

fn settings(server: &S3sServer, path: &Path) -> BucketSettings {
    BucketSettings {
        credential: CredentialSettings::File {
            path: path.into(),
            profile: "gateway".into(),
        },
        ..aws_settings(server.endpoint.clone())
    }
}

async fn send_head(backend: &Arc<dyn ObjectBackend>) -> Result<(), BackendError> {
    let options = GetOptions::default();
    backend.head("k", &options).await.map(drop)
}

/// Sends requests until the server accepts the keys of the rewritten file.
async fn wait_until_accepted(backend: &Arc<dyn ObjectBackend>) {
    let began = Instant::now();
    while let Err(error) = send_head(backend).await {
        assert!(began.elapsed() < Duration::from_secs(20), "{error}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Waits until the file was read again.
async fn wait_for_next_reading(backend: &Arc<dyn ObjectBackend>) {
    tokio::time::sleep(Duration::from_millis(1200)).await;
    for _ in 0..3 {
        send_head(backend).await.unwrap();
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rotated_keys_are_taken_while_requests_go_on() {
    let server = S3sServer::start().await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys");
    write(&path, ACCESS_KEY, SECRET_KEY);
    let backend = open_bucket(&settings(&server, &path)).unwrap();
    let mut upload = backend.put("k", PutOptions::default()).await.unwrap();
    upload.write(Bytes::from("content")).await.unwrap();
    upload.finish().await.unwrap();

    // During a rotation the server accepts old and new keys: no request fails.
    server.allow("new-access-key", "new-secret-key");
    let stop = Arc::new(AtomicBool::new(false));
    let (others, stopped) = (Arc::clone(&backend), Arc::clone(&stop));
    let going_on = tokio::spawn(async move {
        while !stopped.load(Relaxed) {
            send_head(&others).await.unwrap();
        }
    });
    write(&path, "new-access-key", "new-secret-key");
    wait_for_next_reading(&backend).await;
    server.forbid(ACCESS_KEY);
    wait_for_next_reading(&backend).await;

    // A broken or missing file changes nothing.
    std::fs::write(&path, "[gateway]\nnew-secret-key").unwrap();
    wait_for_next_reading(&backend).await;
    std::fs::remove_file(&path).unwrap();
    wait_for_next_reading(&backend).await;
    stop.store(true, Relaxed);
    going_on.await.unwrap();

    // The file is still read afterwards.
    server.allow("last-access-key", "last-secret-key");
    server.forbid("new-access-key");
    let refused = send_head(&backend).await.unwrap_err().to_string();
    assert!(!refused.contains("new-"), "{refused}");
    write(&path, "last-access-key", "last-secret-key");
    wait_until_accepted(&backend).await;
}

#[tokio::test]
async fn a_credentials_file_without_keys_is_refused_at_start() {
    let server = S3sServer::start().await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys");
    let refusal = |settings: &BucketSettings| match open_bucket(settings) {
        Ok(_) => panic!("there are no keys"),
        Err(error) => error.to_string(),
    };
    let missing = refusal(&settings(&server, &path));
    assert!(missing.contains(path.to_str().unwrap()), "{missing}");
    std::fs::write(&path, "[default]\naws_secret_access_key = geheim\n").unwrap();
    let other = refusal(&settings(&server, &path));
    assert!(
        other.contains("no profile [gateway]") && !other.contains("geheim"),
        "{other}"
    );
}
