//! Interrupted, refused and dropped uploads, of known and unknown length: nothing of them stays.

use std::time::Duration;

use asset_gateway_backends::error::ErrorKind;
use asset_gateway_backends::object_backend::{GetOptions, PutOptions};
use asset_gateway_backends::open::open_bucket;
use bytes::Bytes;

use super::{Settings, assert_files, assert_names_no_secret, files, of_length, put, subject};
use crate::support::keys;
use crate::support::s3s_server::S3sServer;

const MIB: usize = 1 << 20;

pub async fn an_interrupted_upload_leaves_nothing(settings: Settings) {
    let (subject, server) = subject(settings).await;
    let backend = &subject.backend;
    put(backend, "old", Bytes::from("old")).await.unwrap();
    let expected = files(&server);
    let expected: Vec<&str> = expected.iter().map(String::as_str).collect();

    for key in ["new", "old"] {
        // Some chunks, and all of them: the last chunk is held back.
        for chunks in [1, 7, 8] {
            let begin = async || {
                let mut upload = backend.put(key, of_length(8 * MIB)).await.unwrap();
                for value in 0..chunks {
                    upload.write(Bytes::from(vec![value; MIB])).await.unwrap();
                }
                upload
            };
            begin().await.abort().await.unwrap();
            assert_files(&server, &expected, "after an abort").await;
            drop(begin().await);
            assert_files(&server, &expected, "after a drop").await;
        }
    }
    let head = backend.head("old", &GetOptions::default()).await.unwrap();
    assert_eq!(head.size, Some(3));
}

pub async fn a_refused_upload_stores_nothing_and_names_no_secret(settings: Settings) {
    let server = S3sServer::start().await;
    let mut settings = settings(server.endpoint.clone());
    settings.credential = keys("wrong-secret-key");
    let backend = open_bucket(&settings).unwrap();
    for length in [1, 64] {
        let mut upload = backend.put("k", of_length(length * MIB)).await.unwrap();
        let mut result = Ok(());
        for _ in 0..length {
            result = upload.write(Bytes::from(vec![1; MIB])).await;
            if result.is_err() {
                break;
            }
        }
        let error = match result {
            Ok(()) => upload.finish().await.unwrap_err(),
            Err(error) => error,
        };
        assert!(
            matches!(error.kind, ErrorKind::Upstream | ErrorKind::Unavailable),
            "{error}"
        );
        assert_names_no_secret(&error);
    }
    assert_files(&server, &[], "nothing was stored").await;
}

pub async fn a_dropped_write_fails_the_upload(settings: Settings) {
    let (subject, _server) = subject(settings).await;
    let backend = &subject.backend;
    for options in [of_length(64 * MIB), PutOptions::default()] {
        let mut upload = backend.put("k", options).await.unwrap();
        let mut dropped = false;
        for value in 0..64 {
            let write = upload.write(Bytes::from(vec![value; MIB]));
            // Polled once, then dropped.
            let write = tokio::time::timeout(Duration::ZERO, write).await;
            dropped |= write.is_err();
        }
        assert!(dropped, "every write returned at once");
        let began = std::time::Instant::now();
        assert!(upload.finish().await.is_err());
        assert!(began.elapsed() < Duration::from_secs(20));
    }
    let missing = backend.head("k", &GetOptions::default()).await;
    assert!(missing.is_err_and(|error| error.kind == ErrorKind::NotFound));
}
