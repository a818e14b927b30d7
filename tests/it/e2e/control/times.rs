//! Times in Unix seconds, and times in other units by mistake.

use serde_json::{Value, json};

use crate::support::api::{answer, now};
use crate::support::gateway::Gateway;

const TEN_YEARS: i64 = 3652 * 86_400;
const ASKS: &str = "seconds, not milliseconds?";

#[tokio::test]
async fn a_time_in_milliseconds_is_refused() {
    let gateway = Gateway::start();
    let kept = gateway.token("GET", "a").await;
    let before = gateway.record(&kept).await["expire_at"].clone();
    for far in [
        json!(1_795_709_590_000_i64),
        json!(now(0) * 1000),
        json!(now(TEN_YEARS + 2 * 86_400)),
        json!(i64::MAX),
    ] {
        let refused = |body: Value| gateway.create(body);
        for body in [
            json!({"method": "GET", "key": "a", "expire_at": far}),
            json!({"method": "GET", "key": "a", "not_before": far}),
            json!({"method": "GET", "key": "a", "not_before": far, "expire_at": now(60)}),
        ] {
            let refused = refused(body).await;
            refused.assert_error(400, "bad_request").says(ASKS);
        }
        let token = json!({"bucket": "local", "method": "GET", "key": "a", "expire_at": far});
        let batch = gateway.control("POST", "/tokens");
        let refused = answer(batch.json(&json!({"tokens": [token]}))).await;
        refused.assert_error(400, "bad_request").says(ASKS);
        let refused = gateway.patch(&kept, json!({"expire_at": far})).await;
        refused.assert_error(400, "bad_request").says(ASKS);
        let replay = gateway.control("POST", &format!("/callbacks/replay?since={far}"));
        let refused = answer(replay).await;
        refused.assert_error(400, "bad_request").says(ASKS);
    }
    assert_eq!(gateway.record(&kept).await["expire_at"], before);
}

#[tokio::test]
async fn ten_years_are_allowed() {
    let gateway = Gateway::start();
    let fields = json!({"expire_at": now(TEN_YEARS), "not_before": now(TEN_YEARS - 1)});
    let token = gateway.token("GET", "a").with(fields).await;
    let changed = gateway
        .patch(&token, json!({"expire_at": now(TEN_YEARS)}))
        .await;
    assert_eq!(changed.status, 200, "{changed:?}");
}

#[tokio::test]
async fn a_time_beyond_64_bits_is_refused() {
    let gateway = Gateway::start();
    for since in [
        "18446744073709551616",
        "99999999999999999999999",
        "-1",
        "1.5",
        "1e3",
    ] {
        let replay = gateway.control("POST", &format!("/callbacks/replay?since={since}"));
        answer(replay)
            .await
            .assert_error(400, "bad_request")
            .says("since");
    }
}
