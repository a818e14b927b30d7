//! Failed multipart uploads, refused credentials, unreachable storage.

use std::time::Duration;

use asset_gateway_backends::error::ErrorKind;
use asset_gateway_backends::object_backend::{GetOptions, PutOptions};
use asset_gateway_backends::open::open_bucket;
use bytes::Bytes;

use super::{Settings, assert_names_no_secret, put, subject};
use crate::support::keys;
use crate::support::s3s_server::S3sServer;

/// Waits: a dropped upload is aborted in the background.
async fn until_none_is_open(server: &S3sServer, when: &str) {
    for _ in 0..100 {
        if server.open_uploads().is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(server.open_uploads(), Vec::<String>::new(), "{when}");
}

pub async fn no_multipart_upload_stays_open(settings: Settings) {
    let (subject, server) = subject(settings).await;
    let backend = &subject.backend;
    let begin = async || {
        let mut upload = backend.put("k", PutOptions::default()).await.unwrap();
        for _ in 0..18 {
            upload.write(Bytes::from(vec![1; 1 << 20])).await.unwrap();
        }
        assert!(!server.open_uploads().is_empty(), "parts were sent");
        upload
    };
    begin().await.abort().await.unwrap();
    assert_eq!(
        server.open_uploads(),
        Vec::<String>::new(),
        "after an abort"
    );

    drop(begin().await);
    until_none_is_open(&server, "after a drop").await;

    // A write is dropped while its request is under way.
    let mut upload = backend.put("k", PutOptions::default()).await.unwrap();
    for _ in 0..100 {
        let write = upload.write(Bytes::from(vec![1; 1 << 20]));
        if tokio::time::timeout(Duration::from_millis(2), write)
            .await
            .is_err()
        {
            break;
        }
    }
    upload.abort().await.unwrap();
    assert_eq!(
        server.open_uploads(),
        Vec::<String>::new(),
        "after a dropped write"
    );

    // Storage refuses the completion.
    put(backend, "taken", Bytes::from("old")).await.unwrap();
    let exclusive = PutOptions {
        must_not_exist: true,
        ..PutOptions::default()
    };
    let mut upload = backend.put("taken", exclusive).await.unwrap();
    for _ in 0..18 {
        upload.write(Bytes::from(vec![1; 1 << 20])).await.unwrap();
    }
    let refused = upload.finish().await;
    assert!(refused.is_err_and(|error| error.kind == ErrorKind::PreconditionFailed));
    until_none_is_open(&server, "after a refusal").await;
}

pub async fn a_wrong_secret_is_refused_and_named_nowhere(settings: Settings) {
    let server = S3sServer::start().await;
    let mut settings = settings(server.endpoint.clone());
    settings.credential = keys("wrong-secret-key");
    let backend = open_bucket(&settings).unwrap();
    let error = match backend.get("k", &GetOptions::default()).await {
        Ok(_) => panic!("the signature is wrong"),
        Err(error) => error,
    };
    assert_eq!(error.kind, ErrorKind::Upstream);
    let text = format!("{error} {error:?}");
    assert!(text.contains("SignatureDoesNotMatch"), "{text}");
    assert_names_no_secret(&error);
    // For a ping, a refusal is a response.
    backend.ping().await.unwrap();
}

pub async fn unreachable_storage_is_unavailable(settings: Settings) {
    crate::support::install_crypto();
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", closed.local_addr().unwrap());
    drop(closed);
    let backend = open_bucket(&settings(endpoint)).unwrap();
    let get = backend.get("k", &GetOptions::default()).await;
    assert!(get.is_err_and(|error| error.kind == ErrorKind::Unavailable));
    let ping = backend.ping().await;
    assert!(ping.is_err_and(|error| error.kind == ErrorKind::Unavailable));
}
