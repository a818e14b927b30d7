//! `Range` and `If-Range`.

use crate::support::api::{Answer, answer};
use crate::support::gateway::Gateway;

async fn with(gateway: &Gateway, token: &str, headers: &[(&str, &str)]) -> Answer {
    let request = headers
        .iter()
        .fold(gateway.object("GET", token), |request, (name, value)| {
            request.header(*name, *value)
        });
    answer(request).await
}

#[tokio::test]
async fn one_range_is_206() {
    let gateway = Gateway::start();
    gateway.place("k", "0123456789");
    let token = gateway.token("GET", "k").await;
    for (range, content_range, bytes) in [
        ("bytes=0-0", "bytes 0-0/10", "0"),
        ("bytes=2-4", "bytes 2-4/10", "234"),
        ("bytes=7-", "bytes 7-9/10", "789"),
        ("bytes=7-99", "bytes 7-9/10", "789"),
        ("bytes=-3", "bytes 7-9/10", "789"),
        ("bytes=-99", "bytes 0-9/10", "0123456789"),
        (
            "bytes=0-99999999999999999999999",
            "bytes 0-9/10",
            "0123456789",
        ),
        ("Bytes=2-4", "bytes 2-4/10", "234"),
        // Empty list elements are ignored (RFC 9110 §5.6.1.2).
        ("bytes=2-4,", "bytes 2-4/10", "234"),
        ("bytes=,2-4", "bytes 2-4/10", "234"),
        ("bytes= , ,2-4 ,, ", "bytes 2-4/10", "234"),
    ] {
        let got = with(&gateway, &token, &[("range", range)]).await;
        assert_eq!(got.status, 206, "{range}");
        assert_eq!(got.header("content-range"), Some(content_range));
        assert_eq!(
            got.header("content-length"),
            Some(bytes.len().to_string().as_str())
        );
        assert_eq!(got.body, bytes);
        assert_eq!(got.header("accept-ranges"), Some("bytes"));
        assert!(got.header("etag").is_some() && got.header("last-modified").is_some());
    }
    for whole in [
        "bytes=0-1,4-5",
        "bytes=0-0,-1",
        "bytes=0-1,,4-5,",
        "lines=1-2",
    ] {
        let got = with(&gateway, &token, &[("range", whole)]).await;
        assert_eq!((got.status, got.body.len()), (200, 10), "{whole}");
        assert_eq!(got.header("content-range"), None);
    }
}

#[tokio::test]
async fn a_malformed_or_unsatisfiable_range_is_416_and_frees_its_hit() {
    let gateway = Gateway::start();
    gateway.place("k", "0123456789");
    let token = gateway.token("GET", "k").max_hits(1).await;
    for range in [
        "bytes=abc",
        "bytes=",
        "bytes=-",
        "bytes=5-2",
        "bytes",
        "bytes=1-2,x",
        "bytes=,",
        "bytes= , ,",
        "bytes=10-",
        "bytes=99-100",
        "bytes=-0",
        "bytes=--5",
        "bytes=1-2-3",
        "bytes=99999999999999999999999-",
    ] {
        let refused = with(&gateway, &token, &[("range", range)]).await;
        refused.assert_error(416, "range_not_satisfiable");
        assert_eq!(
            refused.header("content-range"),
            Some("bytes */10"),
            "{range}"
        );
        assert_eq!(gateway.used_hits(&token).await, 0, "{range}");
    }
    let got = with(&gateway, &token, &[("range", "bytes=0-1")]).await;
    assert_eq!(got.status, 206);
    assert_eq!(gateway.used_hits(&token).await, 1);
}

#[tokio::test]
async fn an_empty_object_has_no_range() {
    let gateway = Gateway::start();
    gateway.place("k", "");
    let token = gateway.token("GET", "k").await;
    let refused = with(&gateway, &token, &[("range", "bytes=0-")]).await;
    refused.assert_error(416, "range_not_satisfiable");
    assert_eq!(refused.header("content-range"), Some("bytes */0"));
}

#[tokio::test]
async fn if_range_compares_tags_and_dates_strongly() {
    let gateway = Gateway::start();
    gateway.place("k", "0123456789");
    // A date is a strong validator for an object that has not changed within the last second.
    let old = std::time::SystemTime::now() - std::time::Duration::from_secs(3600);
    let file = std::fs::File::options()
        .write(true)
        .open(gateway.objects().join("k"));
    file.unwrap().set_modified(old).unwrap();
    let token = gateway.token("GET", "k").await;
    let head = gateway.head(&token).await;
    let (etag, modified) = (
        head.header("etag").unwrap(),
        head.header("last-modified").unwrap(),
    );
    let weak = format!("W/{etag}");
    let earlier = httpdate::fmt_http_date(old - std::time::Duration::from_secs(10));
    for (if_range, status) in [
        (etag, 206),
        (modified, 206),
        ("\"other\"", 200),
        (weak.as_str(), 200),
        (earlier.as_str(), 200),
        ("nonsense", 200),
    ] {
        let headers = [("range", "bytes=2-4"), ("if-range", if_range)];
        let got = with(&gateway, &token, &headers).await;
        assert_eq!(got.status, status, "{if_range}");
        assert_eq!(got.body, if status == 206 { "234" } else { "0123456789" });
    }
    // `If-Range` without `Range` is ignored.
    let got = with(&gateway, &token, &[("if-range", "\"other\"")]).await;
    assert_eq!((got.status, got.body.len()), (200, 10));
}

#[tokio::test]
async fn duplicate_range_headers_are_refused() {
    let gateway = Gateway::start();
    gateway.place("k", "0123456789");
    let token = gateway.token("GET", "k").max_hits(1).await;
    let twice = [("range", "bytes=0-1"), ("range", "bytes=2-3")];
    let refused = with(&gateway, &token, &twice).await;
    refused.assert_error(400, "bad_request").says("range");
    assert_eq!(gateway.used_hits(&token).await, 0);
}
