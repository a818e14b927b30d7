//! OpenDAL's S3 against a server in this process: signatures are verified, requests counted.

use std::time::Duration;

use asset_gateway_backends::conformance::object_backend::{Gaps, Subject};
use asset_gateway_backends::error::ErrorKind;
use asset_gateway_backends::object_backend::{
    ByteRange, Conditions, GetOptions, ObjectBackend, PutOptions,
};
use asset_gateway_backends::open::open_bucket;
use asset_gateway_backends::{BackendError, object_backend_suite};
use bytes::Bytes;
use futures_util::TryStreamExt;
use std::sync::Arc;

use crate::support::s3s_server::S3sServer;
use crate::support::{keys, s3_settings};

async fn subject() -> (Subject, S3sServer) {
    let server = S3sServer::start().await;
    let backend = open_bucket(&s3_settings(server.endpoint.clone())).unwrap();
    let subject = Subject::new(backend).with_gaps(Gaps {
        // s3s-fs reads no If-Match, If-None-Match, If-(Un)Modified-Since on GET.
        ignores_get_conditions: true,
        // It subtracts the suffix from the length and overflows.
        breaks_on_long_suffixes: true,
        // It looks whether the file is there, and renames later.
        exclusive_create_is_racy: true,
        // Its objects are files; what is a folder there is an internal error.
        breaks_on_folders: true,
        // It says "access denied" of them.
        refuses_unknown_uploads: true,
    });
    (subject, server)
}

object_backend_suite!(conformance, subject().await);

async fn put(
    backend: &Arc<dyn ObjectBackend>,
    key: &str,
    bytes: Bytes,
) -> Result<(), BackendError> {
    let mut upload = backend.put(key, PutOptions::default()).await?;
    upload.write(bytes).await?;
    upload.finish().await.map(|_| ())
}

#[tokio::test]
async fn a_download_is_one_request() {
    let (subject, server) = subject().await;
    let backend = &subject.backend;
    put(backend, "k", Bytes::from(vec![7; 300_000]))
        .await
        .unwrap();
    let first = ByteRange::From {
        first: 10,
        last: None,
    };
    let bounded = ByteRange::From {
        first: 10,
        last: Some(1 << 30),
    };
    let suffix = ByteRange::Suffix { length: 1000 };
    let unchanged = Conditions {
        if_modified_since: Some(std::time::UNIX_EPOCH),
        if_match: Some("*".into()),
        ..Conditions::default()
    };
    for range in [None, Some(first), Some(bounded), Some(suffix)] {
        for conditions in [Conditions::default(), unchanged.clone()] {
            server.take_requests();
            let options = GetOptions { range, conditions };
            let found = backend.get("k", &options).await.unwrap();
            let expected = found.content_length();
            let bytes: Vec<Bytes> = found.body.try_collect().await.unwrap();
            let length: usize = bytes.iter().map(Bytes::len).sum();
            assert_eq!(length as u64, expected);
            assert_eq!(
                server.take_requests(),
                ["GET /test-bucket/k"],
                "{options:?}"
            );
        }
    }
}

#[tokio::test]
async fn other_calls_are_one_request_too() {
    let (subject, server) = subject().await;
    let backend = &subject.backend;
    let requests = || {
        let requests = server.take_requests();
        requests
            .iter()
            .map(|line| line.split(' ').next().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    put(backend, "k", Bytes::from("small")).await.unwrap();
    assert_eq!(requests(), ["PUT"]);
    backend.head("k", &GetOptions::default()).await.unwrap();
    assert_eq!(requests(), ["HEAD"]);
    let missing = backend.get("missing", &GetOptions::default()).await;
    assert!(missing.is_err_and(|error| error.kind == ErrorKind::NotFound));
    assert_eq!(requests(), ["GET"]);
    backend.delete("k").await.unwrap();
    assert_eq!(requests(), ["DELETE"]);
    backend.ping().await.unwrap();
    assert_eq!(requests(), ["HEAD"]);
}

#[tokio::test]
async fn passing_trouble_is_overcome_where_repeating_is_harmless() {
    let (subject, server) = subject().await;
    let backend = &subject.backend;
    put(backend, "k", Bytes::from("small")).await.unwrap();
    let requests = |count| {
        let requests = server.take_requests();
        assert_eq!(requests.len(), count, "{requests:?}");
    };
    requests(1);

    server.fail_next(2);
    backend.head("k", &GetOptions::default()).await.unwrap();
    requests(3);
    server.fail_next(3);
    let head = backend.head("k", &GetOptions::default()).await;
    assert!(head.is_err_and(|error| error.kind == ErrorKind::Unavailable));
    requests(3);
    // Also a 503 is an answer.
    server.fail_next(3);
    backend.ping().await.unwrap();
    requests(3);

    server.fail_next(1);
    let get = backend.get("k", &GetOptions::default()).await;
    assert!(get.is_err_and(|error| error.kind == ErrorKind::Unavailable));
    requests(1);
    server.fail_next(1);
    let small = put(backend, "k", Bytes::from("another")).await;
    assert!(small.is_err_and(|error| error.kind == ErrorKind::Unavailable));
    requests(1);

    let mut upload = backend.put("large", PutOptions::default()).await.unwrap();
    for piece in 0..20 {
        if piece == 18 {
            // The first part is gone, the second is held back: only parts are left to send.
            server.fail_next(2);
        }
        upload
            .write(Bytes::from(vec![piece; 1 << 20]))
            .await
            .unwrap();
    }
    let stored = upload.finish().await.unwrap();
    assert_eq!(stored.size, 20 << 20);
}

#[tokio::test]
async fn no_multipart_upload_stays_open() {
    let (subject, server) = subject().await;
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
    for _ in 0..100 {
        tokio::time::sleep(Duration::from_millis(50)).await;
        if server.open_uploads().is_empty() {
            break;
        }
    }
    assert_eq!(server.open_uploads(), Vec::<String>::new(), "after a drop");

    // Given up while a request is under way.
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
        "after a cut-off write"
    );

    // Refused when it was to become visible.
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
    for _ in 0..100 {
        tokio::time::sleep(Duration::from_millis(50)).await;
        if server.open_uploads().is_empty() {
            break;
        }
    }
    assert_eq!(
        server.open_uploads(),
        Vec::<String>::new(),
        "after a refusal"
    );
}

#[tokio::test]
async fn a_wrong_secret_is_refused_and_named_nowhere() {
    let server = S3sServer::start().await;
    let mut settings = s3_settings(server.endpoint.clone());
    settings.credential = keys("wrong-secret-key");
    let backend = open_bucket(&settings).unwrap();
    let error = match backend.get("k", &GetOptions::default()).await {
        Ok(_) => panic!("the signature is wrong"),
        Err(error) => error,
    };
    assert_eq!(error.kind, ErrorKind::Upstream);
    let text = format!("{error} {error:?}");
    assert!(text.contains("SignatureDoesNotMatch"), "{text}");
    assert!(
        !text.contains("wrong-secret-key") && !text.contains("Signature="),
        "{text}"
    );
    // It was an answer.
    backend.ping().await.unwrap();
}

#[tokio::test]
async fn storage_that_is_away_is_unavailable() {
    crate::support::install_crypto();
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", closed.local_addr().unwrap());
    drop(closed);
    let backend = open_bucket(&s3_settings(endpoint)).unwrap();
    let get = backend.get("k", &GetOptions::default()).await;
    assert!(get.is_err_and(|error| error.kind == ErrorKind::Unavailable));
    let ping = backend.ping().await;
    assert!(ping.is_err_and(|error| error.kind == ErrorKind::Unavailable));
}

#[tokio::test]
async fn keys_that_would_be_rewritten_are_refused() {
    let (subject, server) = subject().await;
    for key in ["", "/a", "a/", "a//b", " a", "a ", "a\n"] {
        let get = subject.backend.get(key, &GetOptions::default()).await;
        assert!(
            get.is_err_and(|error| error.kind == ErrorKind::InvalidKey),
            "{key:?}"
        );
        let put = subject.backend.put(key, PutOptions::default()).await;
        assert!(
            put.is_err_and(|error| error.kind == ErrorKind::InvalidKey),
            "{key:?}"
        );
    }
    assert_eq!(server.take_requests(), Vec::<String>::new());
}
