//! How many requests each call sends.

use asset_gateway_backends::error::ErrorKind;
use asset_gateway_backends::object_backend::{ByteRange, Conditions, GetOptions, PutOptions};
use bytes::Bytes;
use futures_util::TryStreamExt;

use super::{Settings, of_length, put, subject};

pub async fn a_download_is_one_request(settings: Settings) {
    let (subject, server) = subject(settings).await;
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
            assert_eq!(Some(length as u64), expected);
            let requests = server.take_requests();
            let [request] = &requests[..] else {
                panic!("{options:?}: {requests:?}")
            };
            // The SDK appends the name of the operation as a query.
            let target = request.split('?').next();
            assert_eq!(target, Some("GET /test-bucket/k"), "{options:?}");
        }
    }
}

pub async fn every_other_call_is_one_request(settings: Settings) {
    let (subject, server) = subject(settings).await;
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
    for length in [0, 1, 3] {
        let mut upload = backend.put("k", of_length(length)).await.unwrap();
        for _ in 0..length {
            upload.write(Bytes::from("1")).await.unwrap();
        }
        assert_eq!(upload.finish().await.unwrap().size, length as u64);
        assert_eq!(requests(), ["PUT"], "{length}");
    }
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

const BUSY: ErrorKind = ErrorKind::Busy { retry_after: None };

pub async fn idempotent_requests_are_repeated_after_passing_errors(settings: Settings) {
    let (subject, server) = subject(settings).await;
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
    assert_eq!(head.unwrap_err().kind, BUSY);
    requests(3);
    // For a ping, a 503 is a response.
    server.fail_next(3);
    backend.ping().await.unwrap();
    requests(3);

    server.fail_next(2);
    backend.get("k", &GetOptions::default()).await.unwrap();
    requests(3);
    server.fail_next(3);
    let get = backend.get("k", &GetOptions::default()).await;
    assert!(get.is_err_and(|error| error.kind == BUSY));
    requests(3);
    server.fail_next(1);
    let small = put(backend, "k", Bytes::from("another")).await;
    assert_eq!(small.unwrap_err().kind, BUSY);
    requests(1);

    let mut upload = backend.put("large", PutOptions::default()).await.unwrap();
    for chunk in 0..20 {
        if chunk == 18 {
            // The upload has begun: only parts are left to send.
            server.fail_next(2);
        }
        upload
            .write(Bytes::from(vec![chunk; 1 << 20]))
            .await
            .unwrap();
    }
    let stored = upload.finish().await.unwrap();
    assert_eq!(stored.size, 20 << 20);
}
