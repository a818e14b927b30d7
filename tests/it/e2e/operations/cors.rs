//! CORS by configuration.

use serde_json::json;

use crate::support::api::{Answer, answer};
use crate::support::gateway::Gateway;

const APP: &str = "https://app.example.com";

fn with_cors(origins: serde_json::Value) -> Gateway {
    let cors = json!({"allowed_origins": origins, "max_age_seconds": 77});
    Gateway::with(json!({"cors": cors}))
}

async fn from(gateway: &Gateway, method: &str, token: &str, origin: &str) -> Answer {
    answer(gateway.object(method, token).header("origin", origin)).await
}

#[track_caller]
fn assert_vary(answer: &Answer) {
    let vary = answer.headers.get_all("vary").iter();
    let mut vary = vary.flat_map(|line| line.to_str().unwrap().split(','));
    assert!(
        vary.any(|name| name.trim().eq_ignore_ascii_case("origin")),
        "{answer:?}"
    );
}

#[tokio::test]
async fn simple_requests_and_errors_have_cors_headers() {
    let gateway = with_cors(json!([APP, "http://localhost:3000"]));
    gateway.place("k", "bytes");
    let token = gateway.token("GET", "k").await;
    for (method, token, status) in [
        ("GET", token.as_str(), 200),
        ("HEAD", &token, 200),
        ("PUT", &token, 405),
        ("DELETE", &token, 405),
        ("GET", "unknown", 404),
        ("GET", "a/b", 404),
    ] {
        let got = from(&gateway, method, token, APP).await;
        assert_eq!(got.status, status);
        assert_eq!(got.header("access-control-allow-origin"), Some(APP));
        let exposed = got
            .header("access-control-expose-headers")
            .unwrap()
            .to_ascii_lowercase();
        let mut exposed: Vec<_> = exposed.split(',').map(str::trim).collect();
        exposed.sort_unstable();
        let expected = [
            "accept-ranges",
            "content-disposition",
            "content-range",
            "etag",
            "retry-after",
            "x-request-id",
        ];
        assert_eq!(exposed, expected);
        assert_vary(&got);
        let other = from(&gateway, method, token, "https://evil.example").await;
        assert_eq!(other.header("access-control-allow-origin"), None);
        assert_vary(&other);
    }
    let none = gateway.get(&token).await;
    assert_eq!(none.header("access-control-allow-origin"), None);
    assert_vary(&none);
}

#[tokio::test]
async fn a_preflight_is_answered_without_a_token_check() {
    let gateway = with_cors(json!([APP]));
    let preflight = gateway
        .object("OPTIONS", "unknown")
        .header("origin", APP)
        .header("access-control-request-method", "PUT")
        .header("access-control-request-headers", "content-type, x-custom");
    let answered = answer(preflight).await;
    assert!(matches!(answered.status, 200 | 204), "{answered:?}");
    assert_eq!(answered.header("access-control-allow-origin"), Some(APP));
    assert_eq!(answered.header("access-control-max-age"), Some("77"));
    assert_eq!(
        answered.header("access-control-allow-headers"),
        Some("content-type, x-custom")
    );
    let methods = answered.header("access-control-allow-methods").unwrap();
    for method in ["GET", "HEAD", "PUT"] {
        assert!(
            methods.split(',').any(|allowed| allowed.trim() == method),
            "{methods}"
        );
    }
    assert_vary(&answered);
    assert!(answered.header("x-request-id").is_some());
    let other = gateway
        .object("OPTIONS", "unknown")
        .header("origin", "https://evil.example")
        .header("access-control-request-method", "PUT");
    assert_eq!(
        answer(other).await.header("access-control-allow-origin"),
        None
    );
}

#[tokio::test]
async fn an_asterisk_allows_any_origin() {
    let gateway = with_cors(json!(["*"]));
    let got = from(&gateway, "GET", "unknown", "https://any.example").await;
    assert_eq!(got.header("access-control-allow-origin"), Some("*"));
    assert_eq!(got.header("access-control-allow-credentials"), None);
}

#[tokio::test]
async fn without_a_cors_section_there_are_no_cors_headers() {
    let gateway = Gateway::start();
    gateway.place("k", "bytes");
    let token = gateway.token("GET", "k").await;
    for method in ["GET", "OPTIONS"] {
        let got = from(&gateway, method, &token, APP).await;
        let names = got.headers.keys().map(http::HeaderName::as_str);
        let cors: Vec<_> = names
            .filter(|name| name.starts_with("access-control") || *name == "vary")
            .collect();
        assert_eq!(cors, [""; 0]);
    }
}
