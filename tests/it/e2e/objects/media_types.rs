//! Valid media types, and those that a browser may show.

use serde_json::json;

use crate::support::api::{Answer, answer};
use crate::support::faulty_backend::FaultyBackend;
use crate::support::gateway::Gateway;
use crate::support::in_process::InProcess;
use crate::support::raw;

/// Invalid media types (RFC 9110 §8.3).
const INVALID: [&str; 18] = [
    "text/plain, text/html",
    "image/png, text/html",
    "text/html, text/plain",
    "text/html,",
    ",text/html",
    "text/html\t;x",
    "text/html; x",
    "text/html x",
    "text/html (x)",
    "text/html; x=a b",
    "text/html; x=\"a",
    "text/html; =a",
    "text /html",
    "text/html/plain",
    "text",
    "text/",
    "*/*",
    "image/*",
];

const SANDBOX: Option<&str> = Some("sandbox; default-src 'none'");
const ATTACHED: Option<&str> = Some("attachment; filename=\"k\"; filename*=UTF-8''k");

#[tokio::test]
async fn an_upload_with_an_invalid_media_type_is_415_and_stores_nothing() {
    let gateway = Gateway::start();
    let token = gateway.token("PUT", "k").await;
    let first = format!("PUT /object/{token}");
    for content_type in INVALID {
        let line = format!("Content-Type: {content_type}");
        let lines: [&[u8]; 2] = [line.as_bytes(), b"Content-Length: 1"];
        let refused = raw::request(gateway.port, &first, &lines, b"x").await;
        assert_eq!(refused.status, 415, "{content_type}");
        refused
            .assert_error(415, "unsupported_media_type")
            .says("one media type");
    }
    assert_eq!(gateway.files(), [""; 0]);
    assert_eq!(gateway.used_hits(&token).await, 0);
    let typed = gateway.object("PUT", &token).body("x");
    let typed = typed.header(
        "content-type",
        "video/mp4;\tcodecs=\"avc1.42E01E, mp4a.40.2\" ;",
    );
    assert_eq!(answer(typed).await.status, 200);
}

/// Checks that GET, a range and HEAD describe the object the same; returns the GET.
async fn all(gateway: &InProcess, token: &str) -> Answer {
    let got = gateway.get(token).await;
    let head = gateway.head(token).await;
    let part = answer(gateway.object("GET", token).header("range", "bytes=0-0")).await;
    assert_eq!((got.status, head.status, part.status), (200, 200, 206));
    for name in [
        "content-type",
        "content-disposition",
        "content-security-policy",
        "x-content-type-options",
        "referrer-policy",
    ] {
        assert_eq!(head.header(name), got.header(name), "{name}");
        assert_eq!(part.header(name), got.header(name), "{name}");
    }
    got
}

#[tokio::test]
async fn an_object_with_an_invalid_media_type_is_octet_stream() {
    let bucket = FaultyBackend::default();
    let gateway = InProcess::over(bucket.clone()).await;
    bucket.place("k", "<script>").await;
    let plain = gateway.token("GET", "k").await;
    let inline = gateway.token("GET", "k").set("disposition", "inline").await;
    let others = [
        "",
        "t\u{e9}xt/html",
        "multipart/x-mixed-replace; boundary=b",
    ];
    for content_type in INVALID.into_iter().chain(others) {
        bucket.claim_type(content_type);
        for token in [&plain, &inline] {
            let got = all(&gateway, token).await;
            assert_eq!(
                got.header("content-type"),
                Some("application/octet-stream"),
                "{content_type}"
            );
        }
    }
}

#[tokio::test]
async fn only_inert_media_types_are_shown_inline() {
    let bucket = FaultyBackend::default();
    let gateway = InProcess::over(bucket.clone()).await;
    bucket.place("k", "<script>").await;
    let plain = gateway.token("GET", "k").await;
    let inline = gateway.token("GET", "k").set("disposition", "inline").await;
    for (content_type, inert) in [
        ("text/plain", true),
        ("TEXT/Plain;charset=UTF-8;", true),
        ("image/png", true),
        ("image/webp", true),
        ("audio/mpeg", true),
        ("video/mp4; codecs=\"avc1, mp4a\"", true),
        ("font/woff2", true),
        ("application/json", true),
        ("application/pdf", true),
        ("application/zip", true),
        ("application/octet-stream", true),
        ("text/html;", false),
        ("text/xsl", false),
        ("application/xslt+xml", false),
        ("image/svg+xml", false),
        ("video/mp4+xml", false),
        ("font/x+xml", false),
        ("text/javascript", false),
        ("text/css", false),
        ("application/unknown", false),
        ("x/y", false),
        // Not every browser decodes a quoted pair.
        ("text/plain; a=\"\\\", text/html; b=\"", false),
    ] {
        bucket.claim_type(content_type);
        let got = all(&gateway, &plain).await;
        assert_eq!(got.header("content-type"), Some(content_type));
        let (disposition, policy) = match inert {
            true => (None, None),
            false => (ATTACHED, SANDBOX),
        };
        assert_eq!(
            got.header("content-disposition"),
            disposition,
            "{content_type}"
        );
        assert_eq!(
            got.header("content-security-policy"),
            policy,
            "{content_type}"
        );
        let got = all(&gateway, &inline).await;
        let disposition = got.header("content-disposition").unwrap();
        assert!(disposition.starts_with("inline"), "{content_type}");
        assert_eq!(
            got.header("content-security-policy"),
            policy,
            "{content_type}"
        );
    }
}

#[tokio::test]
async fn a_tokens_media_type_is_validated() {
    let bucket = FaultyBackend::default();
    let gateway = InProcess::over(bucket.clone()).await;
    bucket.place("k", "<script>").await;
    bucket.claim_type("text/plain");
    let refused = [
        "multipart/form-data",
        "multipart/x-mixed-replace; boundary=b",
    ];
    for content_type in INVALID.into_iter().chain(refused) {
        let fields = json!({"key": "k", "method": "GET", "content_type": content_type});
        let created = gateway.create(fields).await;
        assert_eq!(created.status, 400, "{content_type}");
        created
            .assert_error(400, "bad_request")
            .says("content_type");
    }
    for (content_type, inert) in [
        ("text/xsl", false),
        ("text/html;", false),
        ("image/png", true),
    ] {
        let fields = json!({"content_type": content_type});
        let token = gateway.token("GET", "k").with(fields).await;
        let got = all(&gateway, &token).await;
        assert_eq!(got.header("content-type"), Some(content_type));
        let expected = if inert {
            (None, None)
        } else {
            (ATTACHED, SANDBOX)
        };
        let found = (
            got.header("content-disposition"),
            got.header("content-security-policy"),
        );
        assert_eq!(found, expected, "{content_type}");
    }
}

#[tokio::test]
async fn errors_of_html_objects_are_json() {
    let gateway = Gateway::start();
    gateway.place("k.html", "<script>");
    let fields = json!({"content_type": "text/html", "disposition": "inline"});
    let token = gateway.token("GET", "k.html").with(fields).await;
    let outside = gateway.object("GET", &token).header("range", "bytes=99-");
    answer(outside)
        .await
        .assert_error(416, "range_not_satisfiable");
    let page = gateway.token("GET", "<script>.html").await;
    gateway
        .get(&page)
        .await
        .assert_error(404, "object_not_found");
}
