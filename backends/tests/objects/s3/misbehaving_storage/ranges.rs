//! Ranges (RFC 9110 §15.3.7): a 206 is accepted only with the requested range.

use asset_gateway_backends::error::ErrorKind;
use asset_gateway_backends::object_backend::{ByteRange, GetOptions};

use super::super::Settings;
use super::{between, get, open, ranged, read, refused};
use crate::support::scripted_storage::{answer, raw};

const TAG: &str = "ETag: \"abc\"";

fn from(first: u64) -> ByteRange {
    ByteRange::From { first, last: None }
}

pub async fn another_range_than_requested_is_refused(settings: Settings) {
    let suffix = ByteRange::Suffix { length: 10 };
    for (requested, header) in [
        // Seen at a real storage.
        (between(5000, 5009), "bytes 4096-5009/300000"),
        (between(5000, 5009), "bytes 4096-4105/300000"),
        (between(5000, 5009), "bytes 5000-5008/300000"),
        (between(5000, 5009), "bytes 5000-5010/300000"),
        (between(5000, 5009), "bytes 5000-5009/5005"),
        (between(5000, 5009), "bytes 5000-5004/*"),
        (between(5000, 5009), "bytes 5009-5000/300000"),
        (between(5000, 5009), "lines 5000-5009/300000"),
        (between(5000, 5009), "5000-5009/300000"),
        (between(5000, 5009), "bytes 5000-5009"),
        (between(5000, 5009), "bytes +5000-5009/300000"),
        (between(5000, 5009), "bytes */300000"),
        (
            between(5000, 5009),
            "bytes 5000-18446744073709551615/300000",
        ),
        (from(290_000), "bytes 290001-299999/300000"),
        (from(290_000), "bytes 290000-299998/300000"),
        (from(290_000), "bytes 290000-299999/*"),
        (suffix, "bytes 0-9/300000"),
        (suffix, "bytes 299990-299998/300000"),
        (suffix, "bytes 0-9/*"),
    ] {
        let length = header
            .trim_start_matches(|c: char| !c.is_ascii_digit())
            .split_once('/')
            .and_then(|(span, _)| span.split_once('-'))
            .and_then(|(first, last)| {
                let (first, last): (u64, u64) = (first.parse().ok()?, last.parse().ok()?);
                last.checked_sub(first)
            })
            .filter(|length| *length < 20_000)
            .map_or(10, |length| usize::try_from(length).unwrap() + 1);
        let line = format!("Content-Range: {header}");
        let (backend, _storage) = open(settings, move |_| {
            answer("206 Partial Content", &[TAG, &line], vec![1; length])
        })
        .await;
        let error = refused(
            get(&backend, &ranged(requested)).await,
            ErrorKind::Upstream,
            (requested, header),
        );
        assert!(error.to_string().contains("range"), "{error}");
    }
}

pub async fn a_206_without_content_range_is_refused(settings: Settings) {
    let requested = ranged(between(5, 9));
    for lines in [
        &[TAG][..],
        &[
            TAG,
            "Content-Range: bytes 5-9/100",
            "Content-Range: bytes 6-10/100",
        ],
        &[TAG, "Content-Type: multipart/byteranges; boundary=x"],
    ] {
        let (backend, _storage) = open(settings, move |_| {
            answer("206 Partial Content", lines, "56789")
        })
        .await;
        refused(get(&backend, &requested).await, ErrorKind::Upstream, lines);
    }
    // No range was requested.
    let (backend, _storage) = open(settings, |_| {
        let part = &[TAG, "Content-Range: bytes 0-4/5"];
        answer("206 Partial Content", part, "01234")
    })
    .await;
    let whole = get(&backend, &GetOptions::default()).await;
    refused(whole, ErrorKind::Upstream, "the whole");
}

pub async fn a_206_of_another_length_than_its_range_is_refused(settings: Settings) {
    for body in ["5678", "56789a"] {
        let (backend, _storage) = open(settings, move |_| {
            let lines = &[TAG, "Content-Range: bytes 5-9/100"];
            answer("206 Partial Content", lines, body)
        })
        .await;
        let found = get(&backend, &ranged(between(5, 9))).await;
        refused(found, ErrorKind::Upstream, body);
    }
    // Of a chunked body only the end shows the length.
    for chunks in ["4\r\n5678\r\n0\r\n\r\n", "6\r\n56789a\r\n0\r\n\r\n"] {
        let (backend, _storage) = open(settings, move |_| {
            let range = "Content-Range: bytes 5-9/100";
            raw(
                "206 Partial Content",
                &[TAG, range, "Transfer-Encoding: chunked"],
                chunks,
            )
        })
        .await;
        let found = get(&backend, &ranged(between(5, 9))).await.unwrap();
        refused(read(found).await, ErrorKind::Upstream, chunks);
    }
}

pub async fn the_requested_range_is_accepted(settings: Settings) {
    for (requested, header, total) in [
        (between(5, 9), "bytes 5-9/100", Some(100)),
        (between(5, 9), "BYTES 5-9/100", Some(100)),
        (between(95, 1 << 40), "bytes 95-99/100", Some(100)),
        (from(95), "bytes 95-99/100", Some(100)),
        (
            ByteRange::Suffix { length: 5 },
            "bytes 95-99/100",
            Some(100),
        ),
        (ByteRange::Suffix { length: 500 }, "bytes 0-4/5", Some(5)),
        // The size is unknown, but the range is the requested one.
        (between(5, 9), "bytes 5-9/*", None),
    ] {
        let line = format!("Content-Range: {header}");
        let (backend, storage) = open(settings, move |_| {
            answer("206 Partial Content", &[TAG, &line], "56789")
        })
        .await;
        let found = get(&backend, &ranged(requested)).await.unwrap();
        let first = header[6..].split('-').next().unwrap().parse().unwrap();
        assert_eq!(found.range, Some(first..first + 5), "{header}");
        assert_eq!(found.meta.size, total, "{header}");
        assert_eq!(read(found).await.unwrap(), "56789");
        assert_eq!(storage.take_requests().len(), 1);
    }
}

/// A server may ignore a range (RFC 9110 §14.2).
pub async fn a_200_in_place_of_a_range_is_the_whole_object(settings: Settings) {
    for requested in [between(5, 6), from(5), ByteRange::Suffix { length: 2 }] {
        for chunked in [false, true] {
            let (backend, storage) = open(settings, move |_| match chunked {
                true => {
                    let lines = &[TAG, "Transfer-Encoding: chunked"];
                    raw("200 OK", lines, "a\r\n0123456789\r\n0\r\n\r\n")
                }
                false => answer("200 OK", &[TAG], "0123456789"),
            })
            .await;
            let found = get(&backend, &ranged(requested)).await.unwrap();
            assert_eq!(found.range, None);
            assert_eq!(found.meta.size, (!chunked).then_some(10));
            assert_eq!(read(found).await.unwrap(), "0123456789");
            assert_eq!(storage.take_requests().len(), 1);
        }
    }
}

pub async fn a_416_for_a_range_inside_the_object_is_refused(settings: Settings) {
    let outside = |header: &'static str| {
        move |_: &crate::support::scripted_storage::Request| {
            answer("416 Range Not Satisfiable", &[header], "")
        }
    };
    let (backend, _storage) = open(settings, outside("Content-Range: bytes */5")).await;
    let kind = ErrorKind::RangeNotSatisfiable { size: Some(5) };
    refused(get(&backend, &ranged(from(5))).await, kind, "5-/5");
    let (backend, _storage) = open(settings, outside("Content-Range: bytes */6")).await;
    let inside = get(&backend, &ranged(from(5))).await;
    refused(inside, ErrorKind::Upstream, "5-/6");
    let whole = get(&backend, &GetOptions::default()).await;
    refused(whole, ErrorKind::Upstream, "416 without a range");
    // Without Content-Range a HEAD tells the size, which contradicts the 416.
    let (backend, _storage) = open(settings, |request| match request.method.as_str() {
        "HEAD" => raw("200 OK", &[TAG, "Content-Length: 6"], ""),
        _ => answer("416 Range Not Satisfiable", &[], ""),
    })
    .await;
    let inside = get(&backend, &ranged(from(5))).await;
    refused(inside, ErrorKind::Upstream, "5- of 6");
    let kind = ErrorKind::RangeNotSatisfiable { size: Some(6) };
    refused(get(&backend, &ranged(from(6))).await, kind, "6- of 6");
}

/// The HEAD and the GET of the same entity tag differ in size.
pub async fn two_sizes_under_one_tag_are_refused(settings: Settings) {
    let (backend, _storage) = open(settings, |request| match request.method.as_str() {
        "HEAD" => raw("200 OK", &[TAG, "Content-Length: 6"], ""),
        _ => answer("200 OK", &[TAG], "1234567"),
    })
    .await;
    let mut options = GetOptions::default();
    options.conditions.if_match = Some("\"x\", \"abc\"".into());
    let found = get(&backend, &options).await;
    refused(found, ErrorKind::Upstream, "6, then 7");
}
