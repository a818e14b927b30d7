//! Unknown paths, wrong methods, odd paths.

use crate::support::api::{CONTROL, answer};
use crate::support::gateway::Gateway;
use crate::support::raw;

#[tokio::test]
async fn unknown_paths_are_404() {
    let gateway = Gateway::start();
    for path in [
        "/",
        "/object",
        "/object/",
        "/object/a/b",
        "/objects/a",
        "/token/",
        "/token/a/b",
        "/token/a/status/",
        "/tokens/",
        "/healthz/",
        "/callbacks/",
        "/.env",
        "//",
        "/object//",
        "/metrics",
    ] {
        for method in ["GET", "POST", "DELETE"] {
            let unknown = answer(gateway.control(method, path)).await;
            unknown.assert_error(404, "not_found");
        }
    }
}

#[tokio::test]
async fn wrong_methods_are_405_with_allow() {
    let gateway = Gateway::start();
    for (path, allow, wrong) in [
        (
            "/token",
            "POST",
            &["GET", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"][..],
        ),
        (
            "/token/a",
            "DELETE,GET,HEAD,PATCH",
            &["POST", "PUT", "OPTIONS"],
        ),
        ("/token/a/status", "GET,HEAD", &["POST", "DELETE"]),
        ("/tokens", "DELETE,GET,HEAD,POST", &["PUT", "PATCH"]),
        (
            "/tokens/00112233445566778899aabbccddeeff",
            "DELETE,GET,HEAD,PATCH",
            &["POST", "PUT"],
        ),
        (
            "/object/a",
            "GET,HEAD,PUT",
            &["POST", "DELETE", "PATCH", "OPTIONS", "BREW"],
        ),
        ("/healthz", "GET,HEAD", &["POST", "OPTIONS"]),
        ("/readyz", "GET,HEAD", &["PUT"]),
        ("/openapi.json", "GET,HEAD", &["POST"]),
    ] {
        for method in wrong {
            let refused = answer(gateway.control(method, path)).await;
            assert_eq!(refused.status, 405, "{method} {path}");
            if *method != "HEAD" {
                refused.assert_error(405, "method_not_allowed");
            }
            let mut allowed: Vec<_> = refused.header("allow").unwrap().split(',').collect();
            allowed.sort_unstable();
            assert_eq!(allowed.join(","), allow, "{method} {path}");
        }
    }
}

#[tokio::test]
async fn unusual_paths_are_not_tokens() {
    let gateway = Gateway::start();
    gateway.place("k", "bytes");
    let long = "x".repeat(129);
    for path in [
        long.as_str(),
        "a%2Fb",
        "%2e%2e",
        "%00",
        "%0d%0aX-Evil:%201",
        "a%20b",
        "caf%C3%A9",
        "..;",
        "%252e",
        "a+b",
        "a%3Fb",
        "*",
    ] {
        for method in ["GET", "PUT"] {
            let first = format!("{method} /object/{path}");
            let unknown = raw::request(gateway.port, &first, &[], b"").await;
            unknown.assert_error(404, "token_not_found");
        }
    }
    for path in ["%ff%fe", "%c3%28"] {
        let first = format!("GET /object/{path}");
        let refused = raw::request(gateway.port, &first, &[], b"").await;
        assert!(matches!(refused.status, 400 | 404), "{refused:?}");
        refused.assert_error(refused.status, refused.json()["code"].as_str().unwrap());
    }
    let longest = "x".repeat(128);
    gateway.token("GET", "k").set("token", &*longest).await;
    assert_eq!(gateway.get(&longest).await.status, 200);
    // A percent-encoded token is the same token.
    gateway.token("GET", "k").set("token", "a.b~c").await;
    let escaped = raw::request(gateway.port, "GET /object/%61%2Eb%7Ec", &[], b"").await;
    assert_eq!(escaped.status, 200);
    // A query string is ignored.
    let asked = raw::request(gateway.port, "GET /object/a.b~c?x=/y&z", &[], b"").await;
    assert_eq!(asked.status, 200);
}

#[tokio::test]
async fn request_targets_in_absolute_and_asterisk_form_are_answered() {
    let gateway = Gateway::start();
    let absolute = raw::request(gateway.port, "GET http://gateway/healthz", &[], b"").await;
    assert_eq!(absolute.status, 200);
    let asterisk = raw::request(gateway.port, "OPTIONS *", &[], b"").await;
    assert!(matches!(asterisk.status, 400 | 404 | 405), "{asterisk:?}");
    asterisk.assert_error(asterisk.status, asterisk.json()["code"].as_str().unwrap());
    let authority = raw::request(gateway.port, "CONNECT example.com:80", &[], b"").await;
    assert!((400..500).contains(&authority.status), "{authority:?}");
    assert!(!gateway.log().contains(CONTROL));
}
