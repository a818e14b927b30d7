//! Authentication of the control plane.

use serde_json::json;

use crate::support::api::{CONTROL, answer};
use crate::support::gateway::Gateway;
use crate::support::raw;

const ROUTES: &[(&str, &str)] = &[
    ("POST", "/token"),
    ("GET", "/token/abc"),
    ("PATCH", "/token/abc"),
    ("DELETE", "/token/abc"),
    ("GET", "/token/abc/status"),
    ("POST", "/tokens"),
    ("GET", "/tokens"),
    ("DELETE", "/tokens?tag=a"),
    ("GET", "/tokens/00112233445566778899aabbccddeeff"),
    ("PATCH", "/tokens/00112233445566778899aabbccddeeff"),
    ("DELETE", "/tokens/00112233445566778899aabbccddeeff"),
];

#[tokio::test]
async fn every_call_needs_the_control_token() {
    let gateway = Gateway::start();
    for (method, path) in ROUTES {
        let none = answer(gateway.plain(method, path)).await;
        none.assert_error(401, "unauthorized");
        assert_eq!(none.header("www-authenticate"), Some("Bearer"));
        let wrong = answer(gateway.plain(method, path).bearer_auth("wrong")).await;
        wrong.assert_error(403, "forbidden");
    }
}

#[tokio::test]
async fn malformed_authorization_is_401_and_the_scheme_is_case_insensitive() {
    let gateway = Gateway::start();
    let shown = async |value: &str| {
        answer(
            gateway
                .plain("GET", "/tokens")
                .header("authorization", value),
        )
        .await
    };
    for value in [
        "Basic YTpi",
        "Bearer",
        "Bearer ",
        CONTROL,
        &format!("Bearer {CONTROL} more"),
        &format!("Token {CONTROL}"),
    ] {
        shown(value).await.assert_error(401, "unauthorized");
    }
    for value in [format!("bearer {CONTROL}"), format!("BEARER  {CONTROL}")] {
        assert_eq!(shown(&value).await.status, 200, "{value}");
    }
    for value in [
        format!("Bearer {CONTROL}x"),
        format!("Bearer {}", &CONTROL[1..]),
    ] {
        shown(&value).await.assert_error(403, "forbidden");
    }
}

#[tokio::test]
async fn duplicate_or_non_text_authorization_is_refused() {
    let gateway = Gateway::start();
    let right = format!("Authorization: Bearer {CONTROL}");
    let right = right.as_bytes();
    let lines: [&[&[u8]]; 2] = [&[right, right], &[b"Authorization: Bearer \xff\xfe"]];
    for lines in lines {
        let refused = raw::request(gateway.port, "GET /tokens", lines, b"").await;
        refused
            .assert_error(400, "bad_request")
            .says("authorization");
    }
}

#[tokio::test]
async fn several_control_tokens_and_digests_are_accepted() {
    use sha2::Digest;
    let digest = hex::encode(sha2::Sha256::digest("second"));
    let tokens = json!({"tokens": ["first", format!("sha256:{digest}")]});
    let gateway = Gateway::with(json!({"control": tokens}));
    for (token, status) in [
        ("first", 200),
        ("second", 200),
        (CONTROL, 403),
        (&digest, 403),
    ] {
        let listed = answer(gateway.plain("GET", "/tokens").bearer_auth(token)).await;
        assert_eq!(listed.status, status, "{token}");
    }
}
