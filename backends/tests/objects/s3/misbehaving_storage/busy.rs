//! Busy storage, and retries of requests that it did not begin to answer.

use std::time::Duration;

use asset_gateway_backends::BackendError;
use asset_gateway_backends::error::ErrorKind;
use asset_gateway_backends::object_backend::{GetOptions, PutOptions};

use super::super::{Settings, of_length};
use super::{get, head, open, put, read};
use crate::support::scripted_storage::{Reply, Request, answer, raw};

const TAG: &str = "ETag: \"abc\"";

fn object(request: &Request) -> Vec<u8> {
    let body = if request.method == "HEAD" {
        ""
    } else {
        "hello"
    };
    raw("200 OK", &[TAG, "Content-Length: 5"], body)
}

fn slow_down() -> Vec<u8> {
    let error = "<Error><Code>SlowDown</Code><Message>Reduce your rate</Message></Error>";
    answer("503 Slow Down", &["Content-Type: application/xml"], error)
}

/// Responses of busy storage, a 502 of a proxy, and none at all.
fn not_begun() -> [Vec<u8>; 5] {
    [
        slow_down(),
        answer("503 Service Unavailable", &[], ""),
        answer("429 Too Many Requests", &[], ""),
        answer("502 Bad Gateway", &[], ""),
        Vec::new(),
    ]
}

/// The first `fail` requests are answered with `bytes`, the others with the object.
fn after(fail: usize, bytes: Vec<u8>) -> impl FnMut(&Request) -> Vec<u8> + Send + 'static {
    let mut left = fail;
    move |request| match left {
        0 => object(request),
        _ => {
            left -= 1;
            match request.method.as_str() {
                "HEAD" if !bytes.is_empty() => {
                    let text = String::from_utf8_lossy(&bytes);
                    let first = text.lines().next().unwrap();
                    raw(
                        first.trim_start_matches("HTTP/1.1 "),
                        &["Content-Length: 0"],
                        "",
                    )
                }
                _ => bytes.clone(),
            }
        }
    }
}

#[track_caller]
fn assert_busy(error: &BackendError) {
    let is_busy = matches!(error.kind, ErrorKind::Busy { .. });
    assert!(is_busy, "{error}");
}

pub async fn a_read_that_storage_did_not_begin_to_answer_is_repeated(settings: Settings) {
    for bytes in not_begun() {
        let response = String::from_utf8_lossy(&bytes).into_owned();
        for failures in [1, 2] {
            let (backend, storage) = open(settings, after(failures, bytes.clone())).await;
            let found = get(&backend, &GetOptions::default()).await;
            let found = found.unwrap_or_else(|error| panic!("{response}: {error}"));
            assert_eq!(read(found).await.unwrap(), "hello");
            assert_eq!(storage.take_requests().len(), failures + 1, "{response}");
        }
        let (backend, storage) = open(settings, after(2, bytes.clone())).await;
        head(&backend)
            .await
            .unwrap_or_else(|error| panic!("{response}: {error}"));
        assert_eq!(storage.take_requests().len(), 3, "{response}");
        // At most two repeats.
        let (backend, storage) = open(settings, after(9, bytes.clone())).await;
        assert!(get(&backend, &GetOptions::default()).await.is_err());
        assert_eq!(storage.take_requests().len(), 3, "{response}");
        assert!(head(&backend).await.is_err());
        assert_eq!(storage.take_requests().len(), 3, "{response}");
    }
}

pub async fn a_closed_idle_connection_fails_no_request(settings: Settings) {
    let mut count = 0;
    let (backend, storage) = open(settings, move |request| {
        count += 1;
        Reply {
            bytes: if count == 2 {
                Vec::new()
            } else {
                object(request)
            },
            keep: count == 1,
        }
    })
    .await;
    for _ in 0..2 {
        let found = get(&backend, &GetOptions::default()).await.unwrap();
        assert_eq!(read(found).await.unwrap(), "hello");
    }
    assert_eq!(storage.take_requests().len(), 3);
}

pub async fn an_answered_read_is_not_repeated(settings: Settings) {
    for status in [
        "500 Internal",
        "403 Forbidden",
        "404 Not Found",
        "400 Bad Request",
        "501 No",
    ] {
        let (backend, storage) = open(settings, move |_| answer(status, &[], "")).await;
        assert!(get(&backend, &GetOptions::default()).await.is_err());
        assert_eq!(storage.take_requests().len(), 1, "{status}");
    }
}

pub async fn busy_storage_is_reported_as_busy(settings: Settings) {
    for bytes in &not_begun()[..3] {
        let bytes = bytes.clone();
        let (backend, storage) = open(settings, after(99, bytes)).await;
        assert_busy(
            &get(&backend, &GetOptions::default())
                .await
                .map(drop)
                .unwrap_err(),
        );
        assert_busy(&head(&backend).await.unwrap_err());
        storage.take_requests();
        assert_busy(&put(&backend, of_length(5), 5).await.unwrap_err());
        assert_eq!(
            storage.take_requests().len(),
            1,
            "an upload is not repeated"
        );
        assert_busy(&put(&backend, PutOptions::default(), 5).await.unwrap_err());
    }
}

pub async fn retry_after_is_passed_on(settings: Settings) {
    let later = |seconds: &'static str| {
        move |_: &Request| {
            let line = format!("Retry-After: {seconds}");
            answer("429 Too Many Requests", &[&line], "")
        }
    };
    let seven = ErrorKind::Busy {
        retry_after: Some(Duration::from_secs(7)),
    };
    let (backend, storage) = open(settings, later("7")).await;
    let began = std::time::Instant::now();
    let error = get(&backend, &GetOptions::default())
        .await
        .map(drop)
        .unwrap_err();
    assert_busy(&error);
    assert_eq!(error.kind, seven, "{error}");
    // Longer than the longest delay: the client is answered at once, without a repeat.
    assert_eq!(storage.take_requests().len(), 1);
    assert!(began.elapsed().as_secs() < 5);
    let error = put(&backend, of_length(5), 5).await.unwrap_err();
    assert_eq!(error.kind, seven, "{error}");
}

pub async fn a_passing_conflict_is_busy(settings: Settings) {
    for code in ["ConditionalRequestConflict", "OperationAborted"] {
        let error = format!("<Error><Code>{code}</Code><Message>again</Message></Error>");
        let (backend, _storage) = open(settings, move |request| match request.method.as_str() {
            "PUT" => answer("409 Conflict", &["Content-Type: application/xml"], &error),
            _ => answer("404 Not Found", &[], ""),
        })
        .await;
        assert_busy(&put(&backend, of_length(5), 5).await.unwrap_err());
        let exclusive = PutOptions {
            must_not_exist: true,
            ..of_length(5)
        };
        assert_busy(&put(&backend, exclusive, 5).await.unwrap_err());
    }
}
