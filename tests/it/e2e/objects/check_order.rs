//! The order of checks: existence, expiry, method, client, size, hits, storage.

use serde_json::json;

use crate::support::api::{answer, now, until};
use crate::support::gateway::Gateway;

#[tokio::test]
async fn tokens_allow_their_method_and_head() {
    let gateway = Gateway::start();
    gateway.place("k", "bytes");
    for (method, allow, answers) in [
        ("GET", "GET, HEAD", [200, 200, 405]),
        ("HEAD", "HEAD", [405, 200, 405]),
        ("PUT", "PUT, HEAD", [405, 200, 200]),
    ] {
        let token = gateway.token(method, "k").max_hits(5).await;
        for (sent, status) in ["GET", "HEAD", "PUT"].into_iter().zip(answers) {
            let got = answer(gateway.object(sent, &token)).await;
            assert_eq!(got.status, status, "{sent} on {method}");
            if status == 405 {
                got.assert_error(405, "method_not_allowed");
                assert_eq!(got.header("allow"), Some(allow));
            }
        }
    }
}

#[tokio::test]
async fn the_first_failing_check_answers() {
    let gateway = Gateway::start();
    // Each token fails one check more; the object never exists.
    let outside = json!(["203.0.113.9"]);
    let mut fields = json!({"token": "expired", "expire_at": now(2), "size": 1,
        "allowed_ips": outside, "max_hits": 1});
    gateway.token("PUT", "absent").with(fields.clone()).await;
    fields["expire_at"] = json!(null);
    fields["token"] = json!("other-method");
    gateway.token("GET", "absent").with(fields.clone()).await;
    fields["token"] = json!("other-address");
    gateway.token("PUT", "absent").with(fields.clone()).await;
    fields["allowed_ips"] = json!(null);
    fields["token"] = json!("too-large");
    gateway.token("PUT", "used").with(fields.clone()).await;
    assert_eq!(gateway.put("too-large", "1").await.status, 200);
    until("expired", async || {
        gateway.head("expired").await.status == 410
    })
    .await;

    let put = async |token: &str, body: &'static str| {
        // Every later check would fail, too.
        let request = gateway.object("PUT", token).header("if-match", "\"x\"");
        answer(request.body(body)).await
    };
    put("unknown", "12")
        .await
        .assert_error(404, "token_not_found");
    put("expired", "12")
        .await
        .assert_error(410, "token_expired");
    put("other-method", "12")
        .await
        .assert_error(405, "method_not_allowed");
    put("other-address", "12")
        .await
        .assert_error(403, "access_denied");
    put("too-large", "12")
        .await
        .assert_error(413, "size_exceeded");
    put("too-large", "1")
        .await
        .assert_error(409, "hits_exceeded");
    let used = gateway.token("GET", "absent").max_hits(1).await;
    gateway
        .get(&used)
        .await
        .assert_error(404, "object_not_found");
    assert_eq!(gateway.files(), ["used"]);
}
