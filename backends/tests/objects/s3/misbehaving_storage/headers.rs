//! Headers: those that describe the object are kept, unreadable ones are left out.

use std::time::{Duration, UNIX_EPOCH};

use asset_gateway_backends::object_backend::{GetOptions, ObjectMeta};

use super::super::Settings;
use super::{get, head, open, read};
use crate::support::scripted_storage::raw;

/// The metadata that GET and HEAD give of an object of five bytes with these headers.
async fn metadata(settings: Settings, lines: &[&[u8]]) -> ObjectMeta {
    let mut headers = b"Content-Length: 5".to_vec();
    for line in lines {
        headers.extend_from_slice(b"\r\n");
        headers.extend_from_slice(line);
    }
    let (backend, _storage) = open(settings, move |request| {
        let body = match request.method.as_str() {
            "HEAD" => "",
            _ => "01234",
        };
        [
            b"HTTP/1.1 200 OK\r\n",
            &headers[..],
            b"\r\n\r\n",
            body.as_bytes(),
        ]
        .concat()
    })
    .await;
    let found = get(&backend, &GetOptions::default()).await.unwrap();
    let from_head = head(&backend).await.unwrap();
    assert_eq!(found.meta, from_head);
    assert_eq!(read(found).await.unwrap(), "01234");
    from_head
}

/// The three formats of RFC 9110 §5.6.7.
pub async fn dates_are_parsed_in_every_format(settings: Settings) {
    let expected = UNIX_EPOCH + Duration::from_secs(1_788_256_800);
    for date in [
        "Tue, 01 Sep 2026 10:00:00 GMT",
        "Tuesday, 01-Sep-26 10:00:00 GMT",
        "Tue Sep  1 10:00:00 2026",
    ] {
        let line = format!("Last-Modified: {date}");
        let meta = metadata(settings, &[b"ETag: \"abc\"", line.as_bytes()]).await;
        assert_eq!(meta.last_modified, Some(expected), "{date}");
    }
}

pub async fn unreadable_headers_are_left_out(settings: Settings) {
    for date in [
        "yesterday",
        "",
        "\u{e9}t\u{e9}",
        "Tue, 99 Sep 2026 10:00:00 GMT",
        "0",
    ] {
        let line = format!("Last-Modified: {date}");
        let meta = metadata(settings, &[b"ETag: \"abc\"", line.as_bytes()]).await;
        assert_eq!(
            (meta.last_modified, meta.etag.as_deref()),
            (None, Some("abc")),
            "{date}"
        );
    }
    let meta = metadata(
        settings,
        &[
            b"Content-Type: \xff\xfe",
            b"Cache-Control: no\xff",
            b"Content-Encoding: \xe9",
            b"ETag: \"a\xffb\"",
            b"x-amz-meta-name: \xff",
            b"x-amz-meta-ag-upload: marker",
            b"x-amz-mp-parts-count: many",
            b"x-amz-delete-marker: perhaps",
            b"x-amz-missing-meta: x",
            b"x-amz-object-lock-retain-until-date: never",
            b"Expires: \xff",
            b"Content-Disposition: \xe9",
            b"Content-MD5: \xe9",
            b"x-amz-version-id: \xe9",
        ],
    )
    .await;
    assert_eq!(
        meta,
        ObjectMeta {
            size: Some(5),
            marker: Some("marker".into()),
            ..ObjectMeta::default()
        }
    );
}

pub async fn entity_tags_are_parsed_leniently(settings: Settings) {
    for (line, expected) in [
        ("\"abc\"", Some("abc")),
        ("abc", Some("abc")),
        ("W/\"abc\"", Some("W/\"abc\"")),
        ("W/abc", Some("W/\"abc\"")),
        ("", None),
        ("\"\"", None),
        ("W/\"\"", None),
        ("\"a\"b\"", None),
        ("\"abc", None),
        ("\"a\tb\"", None),
    ] {
        let line = format!("ETag: {line}");
        let meta = metadata(settings, &[line.as_bytes()]).await;
        assert_eq!(meta.etag.as_deref(), expected, "{line}");
    }
    let twice = metadata(settings, &[b"ETag: \"a\"", b"ETag: \"b\""]).await;
    assert_eq!(twice.etag, None, "one of two tags is no tag");
}

/// A list over several lines is one list (RFC 9110 §5.3): its second line may say `no-store`.
pub async fn lists_over_several_lines_are_joined(settings: Settings) {
    let meta = metadata(
        settings,
        &[
            b"ETag: \"abc\"",
            b"Cache-Control: public",
            b"Cache-Control: no-store",
            b"Content-Encoding: br",
            b"Content-Encoding: gzip",
        ],
    )
    .await;
    assert_eq!(meta.cache_control.as_deref(), Some("public, no-store"));
    assert_eq!(meta.content_encoding.as_deref(), Some("br, gzip"));
}

/// RFC 9112 §5.2 lets a client refuse a folded header. Half of it is never used.
pub async fn a_folded_header_is_refused_or_read_whole(settings: Settings) {
    let (backend, _storage) = open(settings, |_| {
        let lines = &[
            "ETag: \"abc\"",
            "Cache-Control: public,",
            " no-store",
            "Content-Length: 1",
        ];
        raw("200 OK", lines, "1")
    })
    .await;
    if let Ok(found) = get(&backend, &GetOptions::default()).await {
        assert_eq!(
            found.meta.cache_control.as_deref(),
            Some("public, no-store")
        );
    }
}
