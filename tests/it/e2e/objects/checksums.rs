//! Checksums of uploads.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use md5::Md5;
use serde_json::json;
use sha2::{Digest, Sha256, Sha512};

use crate::support::api::{Answer, answer};
use crate::support::gateway::Gateway;

const BODY: &str = "what is sent";

async fn put(gateway: &Gateway, token: &str, name: &str, value: &str, chunked: bool) -> Answer {
    let request = gateway.object("PUT", token).header(name, value);
    let body = if chunked {
        let (first, last) = BODY.split_at(4);
        let pieces = [first, last].map(|piece| Ok::<_, std::io::Error>(piece.as_bytes()));
        reqwest::Body::wrap_stream(futures_util::stream::iter(pieces))
    } else {
        BODY.into()
    };
    answer(request.body(body)).await
}

#[tokio::test]
async fn wrong_checksums_leave_the_old_object() {
    let gateway = Gateway::start();
    gateway.place("k", "old");
    let token = gateway.token("PUT", "k").max_hits(8).await;
    let md5 = |body: &str| STANDARD.encode(Md5::digest(body));
    let sha256 = |body: &str| STANDARD.encode(Sha256::digest(body));
    let sha512 = |body: &str| STANDARD.encode(Sha512::digest(body));
    let sums = |body: &str| {
        [
            ("content-md5", md5(body)),
            ("x-amz-checksum-sha256", sha256(body)),
            ("content-digest", format!("sha-256=:{}:", sha256(body))),
            (
                "content-digest",
                format!("unixsum=:AAAA:, sha-512=:{}:", sha512(body)),
            ),
        ]
    };
    for chunked in [false, true] {
        for (name, value) in sums("something else") {
            let refused = put(&gateway, &token, name, &value, chunked).await;
            refused.assert_error(400, "bad_digest");
            assert_eq!(std::fs::read(gateway.objects().join("k")).unwrap(), b"old");
            assert_eq!(gateway.files(), ["k"], "{name}");
        }
    }
    assert_eq!(gateway.used_hits(&token).await, 0);
    for chunked in [false, true] {
        for (name, value) in sums(BODY) {
            let stored = put(&gateway, &token, name, &value, chunked).await;
            assert_eq!(
                (stored.status, &stored.json()["size"]),
                (200, &json!(BODY.len()))
            );
        }
    }
    assert_eq!(
        std::fs::read_to_string(gateway.objects().join("k")).unwrap(),
        BODY
    );
    assert_eq!(gateway.used_hits(&token).await, 8);
}

#[tokio::test]
async fn malformed_checksums_are_named() {
    let gateway = Gateway::start();
    let token = gateway.token("PUT", "k").await;
    for (name, value) in [
        ("content-md5", "abc"),
        ("content-md5", ""),
        ("x-amz-checksum-sha256", "AAAA"),
        ("content-digest", "sha-256"),
        ("content-digest", "sha-256=abc"),
    ] {
        let refused = put(&gateway, &token, name, value, false).await;
        refused.assert_error(400, "bad_request").says(name);
    }
    let twice = gateway.object("PUT", &token).body(BODY);
    let twice = twice.header("content-md5", "a").header("content-md5", "b");
    answer(twice)
        .await
        .assert_error(400, "bad_request")
        .says("content-md5");
    assert_eq!(gateway.files(), [""; 0]);
    assert_eq!(gateway.put(&token, BODY).await.status, 200);
}
