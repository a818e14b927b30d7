//! Uploaded pages, opened in Chromium.

use asset_gateway::http::server::{Server, ServerSettings};
use asset_gateway::shutdown::Shutdown;
use axum::Router;
use axum::extract::Query;
use axum::http::{HeaderValue, header};
use axum::response::IntoResponse;
use serde_json::json;
use std::collections::HashMap;
use tokio::net::TcpListener;

use crate::support::chromium::{Chromium, Opened, PAGE};
use crate::support::faulty_backend::FaultyBackend;
use crate::support::in_process::InProcess;

/// Content types that other writers of a bucket may have stored.
const FORMS: [&str; 22] = [
    "text/html",
    "text/html;",
    "Text/HTML; charset=utf-8",
    "text/plain, text/html",
    "text/html, text/plain",
    "image/png, text/html",
    "text/html,",
    "text/html\t;x",
    "text/html (comment)",
    "text/plain; a=\"\\\", text/html; b=\"",
    "*/*",
    "text/*",
    "application/unknown",
    "text/xml",
    "application/xml",
    "text/xsl",
    "application/xslt+xml",
    "application/xhtml+xml",
    "image/svg+xml",
    "video/x-anything+xml",
    "multipart/x-mixed-replace; boundary=b",
    "multipart/related; boundary=b; type=\"text/html\"",
];

/// The content types under which Chromium runs the page despite `nosniff`.
const RUN: [&str; 13] = [
    "text/html",
    "text/html;",
    "Text/HTML; charset=utf-8",
    "text/plain, text/html",
    "image/png, text/html",
    "text/html,",
    "text/html\t;x",
    "text/html (comment)",
    "text/xml",
    "application/xml",
    "text/xsl",
    "application/xhtml+xml",
    "image/svg+xml",
];

fn page(content_type: &str) -> String {
    match content_type.starts_with("multipart") {
        true => format!("--b\r\nContent-Type: text/html\r\n\r\n{PAGE}\r\n--b--\r\n"),
        false => PAGE.to_owned(),
    }
}

/// Serves the page with the query's content type, as the gateway would without its protection.
async fn start_careless_server() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}/", listener.local_addr().unwrap());
    let router = Router::new().fallback(async |Query(query): Query<HashMap<String, String>>| {
        let content_type = query.get("type").map_or("", String::as_str);
        let nosniff = HeaderValue::from_static("nosniff");
        let headers = [
            (
                header::CONTENT_TYPE,
                HeaderValue::from_str(content_type).unwrap(),
            ),
            (header::X_CONTENT_TYPE_OPTIONS, nosniff),
        ];
        (headers, page(content_type)).into_response()
    });
    tokio::spawn(async move {
        let server = Server::new(ServerSettings::default());
        server.run(listener, router, Shutdown::new()).await;
    });
    base
}

fn with_type(base: &str, content_type: &str) -> String {
    let mut url = url::Url::parse(base).unwrap();
    url.query_pairs_mut().append_pair("type", content_type);
    url.into()
}

#[tokio::test]
async fn a_stored_page_never_runs_in_chromium() {
    let mut chromium = Chromium::start().await;
    let careless = start_careless_server().await;
    for content_type in RUN {
        let opened = chromium.open(&with_type(&careless, content_type)).await;
        assert!(opened.ran(), "the test sees no script: {content_type:?}");
    }

    let bucket = FaultyBackend::default();
    let gateway = InProcess::over(bucket.clone()).await;
    for content_type in FORMS {
        bucket.place("k", &page(content_type)).await;
        bucket.claim_type(content_type);
        for fields in [
            json!({}),
            json!({"disposition": "inline"}),
            json!({"disposition": "inline", "filename": "a.html"}),
        ] {
            let token = gateway.token("GET", "k").with(fields.clone()).await;
            let url = format!("{}/object/{token}", gateway.base);
            let opened = chromium.open(&url).await;
            assert!(!opened.ran(), "{content_type:?} ran with {fields}");
        }
    }
}

#[tokio::test]
async fn a_page_never_runs_under_the_tokens_content_type() {
    let mut chromium = Chromium::start().await;
    let bucket = FaultyBackend::default();
    let gateway = InProcess::over(bucket.clone()).await;
    bucket.claim_type("text/plain");
    let (mut shown, mut refused) = (0, 0);
    for content_type in FORMS {
        bucket.place("k", &page(content_type)).await;
        for disposition in ["", "inline"] {
            let created = gateway
                .create(
                    json!({"key": "k", "method": "GET", "content_type": content_type,
                    "disposition": disposition}),
                )
                .await;
            if created.status == 400 {
                refused += 1;
                continue;
            }
            let url = created.json()["url"].as_str().unwrap().to_owned();
            let opened = chromium.open(&url).await;
            assert!(!opened.ran(), "{content_type:?} ran, {disposition}");
            shown += usize::from(matches!(opened, Opened::Shown(_)));
        }
    }
    // Some types are refused when the token is created, others are shown in a sandbox.
    assert!(shown > 0 && refused > 0, "{shown} {refused}");

    // A page served as plain text is shown as its source.
    bucket.claim_type("text/plain");
    let token = gateway.token("GET", "k").await;
    let url = format!("{}/object/{token}", gateway.base);
    let opened = chromium.open(&url).await;
    assert!(matches!(&opened, Opened::Shown(_)) && !opened.ran());
}
