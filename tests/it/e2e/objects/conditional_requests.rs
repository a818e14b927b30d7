//! Conditional requests (RFC 9110 §13).

use std::time::{Duration, SystemTime};

use httpdate::fmt_http_date;

use crate::support::api::{Answer, answer};
use crate::support::gateway::Gateway;

async fn with(gateway: &Gateway, method: &str, token: &str, headers: &[(&str, &str)]) -> Answer {
    let request = headers
        .iter()
        .fold(gateway.object(method, token), |request, (name, value)| {
            request.header(*name, *value)
        });
    answer(request).await
}

#[tokio::test]
async fn get_and_head_evaluate_conditions() {
    let gateway = Gateway::start();
    gateway.place("k", "bytes");
    let token = gateway.token("GET", "k").max_hits(100).await;
    let head = gateway.head(&token).await;
    let (etag, modified) = (
        head.header("etag").unwrap(),
        head.header("last-modified").unwrap(),
    );
    let weak = format!("W/{etag}");
    let list = format!("\"x\", {etag}");
    let hour = Duration::from_secs(3600);
    let earlier = fmt_http_date(SystemTime::now() - hour);
    let later = fmt_http_date(SystemTime::now() + hour);
    let mut delivered = 0;
    for (headers, status) in [
        (&[("if-none-match", etag)][..], 304),
        (&[("if-none-match", &weak)], 304),
        (&[("if-none-match", &list)], 304),
        (&[("if-none-match", "*")], 304),
        (&[("if-none-match", "\"x\"")], 200),
        (&[("if-modified-since", modified)], 304),
        (&[("if-modified-since", &later)], 304),
        (&[("if-modified-since", &earlier)], 200),
        (&[("if-modified-since", "nonsense")], 200),
        (&[("if-match", etag)], 200),
        (&[("if-match", &list)], 200),
        (&[("if-match", "*")], 200),
        (&[("if-match", "\"x\"")], 412),
        (&[("if-match", &weak)], 412),
        (&[("if-unmodified-since", modified)], 200),
        (&[("if-unmodified-since", &earlier)], 412),
        // Entity tags take precedence over dates.
        (
            &[("if-none-match", "\"x\""), ("if-modified-since", modified)],
            200,
        ),
        (
            &[("if-match", etag), ("if-unmodified-since", &earlier)],
            200,
        ),
        // Conditions are evaluated before the range.
        (&[("if-none-match", etag), ("range", "bytes=99-")], 304),
        (&[("if-match", "\"x\""), ("range", "bytes=99-")], 412),
    ] {
        let got = with(&gateway, "GET", &token, headers).await;
        assert_eq!(got.status, status, "{headers:?}");
        let head = with(&gateway, "HEAD", &token, headers).await;
        assert_eq!(head.status, status, "HEAD {headers:?}");
        match status {
            200 => delivered += 1,
            304 => assert!(got.body.is_empty()),
            _ => drop(got.assert_error(412, "precondition_failed").clone()),
        }
        assert_eq!(gateway.used_hits(&token).await, delivered, "{headers:?}");
    }
}

#[tokio::test]
async fn a_304_has_the_validators_and_frees_its_hit() {
    let gateway = Gateway::start();
    gateway.place("k", "bytes");
    let token = gateway.token("GET", "k").max_hits(1).await;
    let head = gateway.head(&token).await;
    let etag = head.header("etag").unwrap();
    for _ in 0..3 {
        let fresh = with(&gateway, "GET", &token, &[("if-none-match", etag)]).await;
        assert_eq!((fresh.status, fresh.header("etag")), (304, Some(etag)));
        assert_eq!(fresh.header("content-type"), None);
    }
    assert_eq!(gateway.get(&token).await.status, 200);
    // A used-up token is refused even if the client's copy is current.
    let used = with(&gateway, "GET", &token, &[("if-none-match", etag)]).await;
    used.assert_error(409, "hits_exceeded");
    assert_eq!(gateway.head(&token).await.status, 200);
}

#[tokio::test]
async fn put_evaluates_conditions() {
    let gateway = Gateway::start();
    let token = gateway.token("PUT", "k").max_hits(100).await;
    let put = async |headers: &[(&str, &str)], body: &'static str| {
        let request = headers
            .iter()
            .fold(gateway.object("PUT", &token), |request, (n, v)| {
                request.header(*n, *v)
            });
        answer(request.body(body)).await
    };
    put(&[("if-match", "*")], "no")
        .await
        .assert_error(412, "precondition_failed");
    assert_eq!(gateway.files(), [""; 0]);
    assert_eq!(put(&[("if-none-match", "*")], "first").await.status, 200);
    put(&[("if-none-match", "*")], "no")
        .await
        .assert_error(412, "precondition_failed");
    put(&[("if-match", "\"x\"")], "no")
        .await
        .assert_error(412, "precondition_failed");
    let etag = gateway
        .head(&token)
        .await
        .header("etag")
        .unwrap()
        .to_owned();
    assert_eq!(
        std::fs::read(gateway.objects().join("k")).unwrap(),
        b"first"
    );
    assert_eq!(put(&[("if-match", &etag)], "second").await.status, 200);
    // The object has another version now.
    put(&[("if-match", &etag)], "no")
        .await
        .assert_error(412, "precondition_failed");
    assert_eq!(
        std::fs::read(gateway.objects().join("k")).unwrap(),
        b"second"
    );
    assert_eq!(gateway.used_hits(&token).await, 2);
    assert_eq!(gateway.files(), ["k"]);
}
