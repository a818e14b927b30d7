//! Response headers of downloads.

use serde_json::json;

use crate::support::api::{Answer, answer, now};
use crate::support::faulty_backend::FaultyBackend;
use crate::support::gateway::Gateway;
use crate::support::in_process::InProcess;

/// Checks that GET and HEAD have the same headers; returns the GET.
async fn both(gateway: &Gateway, token: &str) -> Answer {
    let (got, head) = (gateway.get(token).await, gateway.head(token).await);
    assert_eq!((got.status, head.status), (200, 200), "{got:?} {head:?}");
    assert!(head.body.is_empty());
    for (name, value) in &got.headers {
        if name != "x-request-id" && name != "date" {
            assert_eq!(head.headers.get(name), Some(value), "{name}");
        }
    }
    got
}

#[tokio::test]
async fn a_download_has_the_headers_of_its_object() {
    let gateway = Gateway::start();
    gateway.store("a.bin", "image/png", "0123456789").await;
    let token = gateway.token("GET", "a.bin").await;
    let got = both(&gateway, &token).await;
    assert_eq!(got.body, "0123456789");
    for (name, value) in [
        ("content-length", "10"),
        ("content-type", "image/png"),
        ("accept-ranges", "bytes"),
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
        ("cache-control", "private"),
    ] {
        assert_eq!(got.header(name), Some(value), "{name}");
    }
    let etag = got.header("etag").unwrap();
    assert!(etag.len() > 2 && etag.starts_with('"') && etag.ends_with('"'));
    let modified = httpdate::parse_http_date(got.header("last-modified").unwrap()).unwrap();
    assert!(modified <= std::time::SystemTime::now());
    for name in [
        "content-disposition",
        "content-security-policy",
        "content-range",
        "vary",
    ] {
        assert_eq!(got.header(name), None, "{name}");
    }
}

#[tokio::test]
async fn answers_for_limited_tokens_are_never_cached() {
    let gateway = Gateway::start();
    gateway.place("a", "bytes");
    for (fields, value) in [
        (json!({"max_hits": 9}), "private, no-store"),
        (json!({"max_hits": -1}), "private"),
    ] {
        let token = gateway.token("GET", "a").with(fields).await;
        let got = both(&gateway, &token).await;
        assert_eq!(got.header("cache-control"), Some(value));
        let fresh = gateway.object("GET", &token);
        let fresh = answer(fresh.header("if-none-match", got.header("etag").unwrap())).await;
        assert_eq!(
            (fresh.status, fresh.header("cache-control")),
            (304, Some(value))
        );
    }
}

/// A public object, through tokens that only some clients may use.
#[tokio::test]
async fn answers_for_tokens_with_rules_are_never_public() {
    let bucket = FaultyBackend::default();
    let gateway = InProcess::over(bucket.clone()).await;
    bucket.place("a", "bytes").await;
    let free = json!({});
    let addresses = json!({"allowed_ips": ["127.0.0.1"]});
    let referers = json!({"allowed_referers": ["https://page.example/"]});
    let started = json!({"not_before": now(-60)});
    let limited = json!({"max_hits": 99});
    for (stored, fields, value) in [
        ("public, max-age=60", &free, "public, max-age=60"),
        ("public, max-age=60", &addresses, "private"),
        ("Public", &referers, "private"),
        ("s-maxage=60", &started, "private"),
        ("max-age=60", &started, "private"),
        ("no-store", &addresses, "private, no-store"),
        ("public, max-age=60", &limited, "private, no-store"),
    ] {
        let said = stored.to_owned();
        bucket.describe(move |meta| meta.cache_control = Some(said.clone()));
        let token = gateway.token("GET", "a").with(fields.clone()).await;
        for request in [
            gateway.object("GET", &token),
            gateway.object("HEAD", &token),
            gateway.object("GET", &token).header("range", "bytes=1-1"),
        ] {
            let got = answer(request.header("referer", "https://page.example/")).await;
            assert!(matches!(got.status, 200 | 206), "{got:?}");
            assert_eq!(
                got.header("cache-control"),
                Some(value),
                "{stored} {fields}"
            );
        }
    }
}

/// U+202E makes `gpj.exe` look like `exe.jpg`.
#[tokio::test]
async fn file_names_have_no_invisible_characters() {
    let gateway = Gateway::start();
    let plain = "attachment; filename=\"photo_gpj.exe\"; filename*=UTF-8''photo_gpj.exe";
    for hidden in [
        '\u{202e}',
        '\u{202a}',
        '\u{2066}',
        '\u{2069}',
        '\u{200e}',
        '\u{61c}',
        '\u{200b}',
        '\u{200d}',
        '\u{feff}',
        '\u{ad}',
        '\u{2028}',
        '\u{2029}',
        '\u{2800}',
        '\u{3164}',
        '\u{115f}',
        '\u{e0041}',
        '\u{fe0f}',
        '\u{180e}',
        '\u{fffa}',
        '\u{034f}',
    ] {
        let name = format!("photo_{hidden}gpj.exe");
        let created = gateway
            .create(json!({"key": "k", "method": "GET", "filename": name}))
            .await;
        assert_eq!(created.status, 201, "{name:?}");
        assert_eq!(created.json()["filename"], "photo_gpj.exe", "{name:?}");
        // A key may contain the character, and is the default file name.
        let key = format!("dir/{name}");
        gateway.place(&key, "bytes");
        let fields = json!({"disposition": "attachment"});
        let token = gateway.token("GET", &key).with(fields).await;
        let got = both(&gateway, &token).await;
        assert_eq!(got.header("content-disposition"), Some(plain), "{name:?}");
    }
    let token = gateway
        .token("GET", "dir/photo_\u{202e}gpj.exe")
        .with(json!({"filename": "\u{202e}\u{200b}"}))
        .await;
    assert_eq!(gateway.record(&token).await["filename"], "");
    let visible = "r\u{e9}sum\u{e9} \u{62a5}\u{544a} \u{1f600} \u{645}\u{635}\u{631}.pdf";
    let created = gateway
        .create(json!({"key": "k", "method": "GET", "filename": visible}))
        .await;
    assert_eq!(created.json()["filename"], visible);
}

#[tokio::test]
async fn content_disposition_follows_name_and_disposition() {
    let gateway = Gateway::start();
    gateway.place("dir/a.txt", "bytes");
    let all = "attachment; filename=\"a.txt\"; filename*=UTF-8''a.txt";
    let inline = "inline; filename=\"a.txt\"; filename*=UTF-8''a.txt";
    let chinese = "attachment; filename=\"__ 1.pdf\"; filename*=UTF-8''%E6%8A%A5%E5%91%8A%201.pdf";
    let quoted = "attachment; filename=\"a__; x=_b\"; filename*=UTF-8''a%22_%3B%20x%3D%22b";
    let path = "attachment; filename=\".._.._a_b.txt\"; filename*=UTF-8''.._.._a_b.txt";
    for (fields, value) in [
        (json!({}), None),
        (json!({"filename": "a.txt"}), Some(all)),
        (
            json!({"filename": "a.txt", "disposition": "inline"}),
            Some(inline),
        ),
        (json!({"disposition": "attachment"}), Some(all)),
        (json!({"disposition": "inline"}), Some(inline)),
        (json!({"filename": "报告 1.pdf"}), Some(chinese)),
        (json!({"filename": "a\"\\; x=\"b"}), Some(quoted)),
        (json!({"filename": "../..\\a/b.txt"}), Some(path)),
    ] {
        let token = gateway.token("GET", "dir/a.txt").with(fields.clone()).await;
        let got = both(&gateway, &token).await;
        assert_eq!(got.header("content-disposition"), value, "{fields}");
        assert_eq!(got.header("content-security-policy"), None);
    }
}

#[tokio::test]
async fn active_content_is_an_attachment_or_sandboxed() {
    let gateway = Gateway::start();
    for (content_type, active) in [
        ("text/html", true),
        ("text/html; charset=utf-8", true),
        ("Text/HTML", true),
        ("image/svg+xml", true),
        ("application/xhtml+xml", true),
        ("text/xml", true),
        ("application/xml", true),
        ("application/rss+xml", true),
        ("text/plain", false),
        ("image/png", false),
        ("application/json", false),
    ] {
        gateway.store("k", content_type, "<script>").await;
        let plain = gateway.token("GET", "k").await;
        let got = both(&gateway, &plain).await;
        assert_eq!(got.header("content-type"), Some(content_type));
        let attached = "attachment; filename=\"k\"; filename*=UTF-8''k";
        let expected = active.then_some(attached);
        assert_eq!(
            got.header("content-disposition"),
            expected,
            "{content_type}"
        );
        let sandbox = active.then_some("sandbox; default-src 'none'");
        assert_eq!(got.header("content-security-policy"), sandbox);
        assert_eq!(got.header("x-content-type-options"), Some("nosniff"));

        let inline = gateway.token("GET", "k").set("disposition", "inline").await;
        let got = both(&gateway, &inline).await;
        assert!(
            got.header("content-disposition")
                .unwrap()
                .starts_with("inline")
        );
        assert_eq!(got.header("content-security-policy"), sandbox);
    }
}

#[tokio::test]
async fn the_tokens_content_type_overrides_the_objects() {
    let gateway = Gateway::start();
    gateway.place("a.txt", "<b>");
    let fields = json!({"content_type": "text/html", "disposition": "inline"});
    let token = gateway.token("GET", "a.txt").with(fields).await;
    let got = both(&gateway, &token).await;
    assert_eq!(got.header("content-type"), Some("text/html"));
    assert_eq!(
        got.header("content-security-policy"),
        Some("sandbox; default-src 'none'")
    );
    gateway.place("no-extension", "?");
    let token = gateway.token("GET", "no-extension").await;
    let got = both(&gateway, &token).await;
    assert_eq!(got.header("content-type"), Some("application/octet-stream"));
}

#[tokio::test]
async fn an_empty_object_is_200_and_empty() {
    let gateway = Gateway::start();
    gateway.store("empty", "text/plain", "").await;
    let token = gateway.token("GET", "empty").max_hits(1).await;
    let got = gateway.get(&token).await;
    assert_eq!((got.status, got.header("content-length")), (200, Some("0")));
    assert_eq!(gateway.used_hits(&token).await, 1);
}
