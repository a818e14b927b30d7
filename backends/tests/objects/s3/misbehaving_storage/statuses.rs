//! Statuses without an object, redirects, and responses of a proxy.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use asset_gateway_backends::error::ErrorKind;
use asset_gateway_backends::object_backend::GetOptions;

use super::super::Settings;
use super::{assert_refused, get, head, open, refused};
use crate::support::scripted_storage::{ScriptedStorage, answer, page, raw};

/// Kinds that a client is answered as its own error.
fn is_the_clients(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::NotFound
            | ErrorKind::NotModified
            | ErrorKind::PreconditionFailed
            | ErrorKind::RangeNotSatisfiable { .. }
            | ErrorKind::InvalidKey
    )
}

pub async fn an_unexpected_success_status_is_refused(settings: Settings) {
    let tag = "ETag: \"abc\"";
    for status in [
        "201 Created",
        "202 Accepted",
        "203 Changed",
        "205 Reset Content",
        "299 Odd",
    ] {
        let (backend, _storage) = open(settings, move |_| answer(status, &[tag], "")).await;
        assert_refused(&backend, ErrorKind::Upstream, status).await;
    }
    let (backend, _storage) = open(settings, move |_| raw("204 No Content", &[tag], "")).await;
    assert_refused(&backend, ErrorKind::Upstream, 204).await;
    let (backend, _storage) = open(settings, move |_| {
        let part = [tag, "Content-Range: bytes 0-4/5", "Content-Length: 5"];
        raw("206 Part", &part, "")
    })
    .await;
    refused(head(&backend).await, ErrorKind::Upstream, "206 to a HEAD");
}

pub async fn no_redirect_is_followed(settings: Settings) {
    let reached = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&reached);
    let elsewhere = ScriptedStorage::start(move |_| {
        count.fetch_add(1, Relaxed);
        answer("200 OK", &["ETag: \"abc\""], "")
    })
    .await;
    for status in [
        "301 Moved",
        "302 Found",
        "303 See Other",
        "307 Temporary",
        "308 Permanent",
    ] {
        let line = format!("Location: {}/bucket/k", elsewhere.endpoint);
        let (backend, _storage) = open(settings, move |_| answer(status, &[&line], "")).await;
        assert_refused(&backend, ErrorKind::Upstream, status).await;
        let put = super::put(&backend, super::super::of_length(5), 5).await;
        assert!(
            put.is_err_and(|error| !is_the_clients(error.kind)),
            "{status}"
        );
    }
    assert_eq!(reached.load(Relaxed), 0);
}

pub async fn a_proxy_page_is_no_object(settings: Settings) {
    let (backend, _storage) = open(settings, |request| match request.method.as_str() {
        "HEAD" => raw(
            "200 OK",
            &["Content-Type: text/html", "Content-Length: 46"],
            "",
        ),
        _ => page("200 OK"),
    })
    .await;
    assert_refused(&backend, ErrorKind::NoAnswer, "a page").await;
    assert!(backend.delete("k").await.is_err(), "a page deletes nothing");

    // An HTML object of storage has a tag.
    let (backend, _storage) = open(settings, |request| {
        let body = if request.method == "HEAD" {
            ""
        } else {
            "<p>hello"
        };
        let lines = &[
            "Content-Type: text/html",
            "ETag: \"abc\"",
            "Content-Length: 8",
        ];
        raw("200 OK", lines, body)
    })
    .await;
    assert!(get(&backend, &GetOptions::default()).await.is_ok());
    assert!(head(&backend).await.is_ok());
}

pub async fn a_proxys_404_is_no_missing_object(settings: Settings) {
    let (backend, _storage) = open(settings, |request| match request.method.as_str() {
        "HEAD" => raw(
            "404 Not Found",
            &["Content-Type: text/html", "Content-Length: 46"],
            "",
        ),
        _ => page("404 Not Found"),
    })
    .await;
    assert_refused(&backend, ErrorKind::Upstream, "a page").await;

    for lines in [
        &["Content-Type: application/xml"][..],
        &[],
        &["Content-Type: text/html"],
    ] {
        let (backend, _storage) = open(settings, move |_| answer("404 Not Found", lines, "")).await;
        assert_refused(&backend, ErrorKind::NotFound, lines).await;
    }
    let (backend, _storage) = open(settings, |_| {
        let error = "<Error><Code>NoSuchBucket</Code><Message>no bucket</Message></Error>";
        answer("404 Not Found", &["Content-Type: application/xml"], error)
    })
    .await;
    let error = get(&backend, &GetOptions::default()).await;
    let error = refused(error, ErrorKind::Upstream, "no bucket");
    assert!(error.to_string().contains("NoSuchBucket"), "{error}");
}

pub async fn unset_conditions_do_not_fail(settings: Settings) {
    for status in ["304 Not Modified", "412 Precondition Failed"] {
        let (backend, _storage) = open(settings, move |_| raw(status, &[], "")).await;
        assert_refused(&backend, ErrorKind::Upstream, status).await;
    }
    let (backend, _storage) = open(settings, |_| raw("304 Not Modified", &[], "")).await;
    let mut options = GetOptions::default();
    options.conditions.if_none_match = Some("\"abc\"".into());
    refused(
        get(&backend, &options).await,
        ErrorKind::NotModified,
        "request",
    );
}
