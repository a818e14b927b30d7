//! Bodies: of unknown length, cut short, longer than announced, encoded.

use asset_gateway_backends::error::ErrorKind;
use asset_gateway_backends::object_backend::GetOptions;

use super::super::Settings;
use super::{get, head, open, read, refused};
use crate::support::scripted_storage::{answer, raw};

const TAG: &str = "ETag: \"abc\"";
const CHUNKED: &str = "Transfer-Encoding: chunked";

pub async fn a_chunked_body_is_passed_on(settings: Settings) {
    let (backend, storage) = open(settings, |request| match request.method.as_str() {
        "HEAD" => raw("200 OK", &[TAG, CHUNKED], ""),
        _ => raw(
            "200 OK",
            &[TAG, CHUNKED],
            "5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n",
        ),
    })
    .await;
    let found = get(&backend, &GetOptions::default()).await.unwrap();
    assert_eq!(found.meta.size, None);
    assert_eq!(found.content_length(), None);
    assert_eq!(found.meta.etag.as_deref(), Some("abc"));
    assert_eq!(read(found).await.unwrap(), "hello world");
    let meta = head(&backend).await.unwrap();
    assert_eq!(meta.size, None);
    assert_eq!(storage.take_requests().len(), 2);
}

pub async fn a_body_without_a_visible_end_is_an_error(settings: Settings) {
    // A body up to the end of the connection looks like a broken one.
    let (backend, _storage) = open(settings, |_| raw("200 OK", &[TAG], "hello")).await;
    refused(
        get(&backend, &GetOptions::default()).await,
        ErrorKind::Upstream,
        "until the end",
    );
    let broken = [
        raw("200 OK", &[TAG, "Content-Length: 10"], "hello"),
        raw("200 OK", &[TAG, CHUNKED], "5\r\nhello\r\n"),
        raw("200 OK", &[TAG, CHUNKED], "5\r\nhello\r\nzz\r\n"),
    ];
    for bytes in broken {
        let (backend, storage) = open(settings, move |_| bytes.clone()).await;
        let found = get(&backend, &GetOptions::default()).await.unwrap();
        assert!(read(found).await.is_err());
        assert_eq!(
            storage.take_requests().len(),
            1,
            "a body that has begun is not requested again"
        );
    }
}

pub async fn bytes_past_the_announced_length_are_not_passed_on(settings: Settings) {
    let (backend, _storage) = open(settings, |_| {
        raw("200 OK", &[TAG, "Content-Length: 5"], "hello world")
    })
    .await;
    let found = get(&backend, &GetOptions::default()).await.unwrap();
    assert_eq!(read(found).await.unwrap(), "hello");
    let (backend, _storage) = open(settings, |_| {
        let lines = &[TAG, "Content-Length: 5", "Content-Length: 11"];
        raw("200 OK", lines, "hello world")
    })
    .await;
    assert!(get(&backend, &GetOptions::default()).await.is_err());
}

/// No client library decodes a body.
pub async fn an_encoded_body_stays_encoded(settings: Settings) {
    for encoding in ["gzip", "br", "zstd", "deflate"] {
        let line = format!("Content-Encoding: {encoding}");
        let (backend, storage) = open(settings, move |_| {
            answer("200 OK", &[TAG, &line], b"\x1f\x8b no archive")
        })
        .await;
        let found = get(&backend, &GetOptions::default()).await.unwrap();
        assert_eq!(found.meta.content_encoding.as_deref(), Some(encoding));
        assert_eq!(found.meta.size, Some(13));
        assert_eq!(read(found).await.unwrap(), &b"\x1f\x8b no archive"[..]);
        let request = storage.take_requests();
        assert_eq!(
            request[0].header("accept-encoding").unwrap_or("identity"),
            "identity"
        );
    }
}

/// RFC 9110 §15.2.
pub async fn interim_responses_are_skipped(settings: Settings) {
    let (backend, _storage) = open(settings, |request| {
        let body = if request.method == "HEAD" {
            ""
        } else {
            "hello"
        };
        [
            raw("100 Continue", &[], ""),
            raw("103 Early Hints", &["Link: </a.css>"], ""),
            raw("200 OK", &[TAG, "Content-Length: 5"], body),
        ]
        .concat()
    })
    .await;
    let found = get(&backend, &GetOptions::default()).await.unwrap();
    assert_eq!(read(found).await.unwrap(), "hello");
    let stored = super::put(&backend, super::super::of_length(5), 5)
        .await
        .unwrap();
    assert_eq!(stored.etag, "abc");
}
