//! Ambiguous message framing is refused, and the connection closed.

use serde_json::json;
use tokio::io::AsyncWriteExt;

use super::smuggling_cases::{SMUGGLED, cases};
use crate::support::api::Answer;
use crate::support::gateway::Gateway;
use crate::support::raw;

#[track_caller]
fn assert_refused(what: &str, answer: &Answer) {
    assert_eq!(answer.status, 400, "{what}: {answer:?}");
    assert_eq!(answer.header("connection"), Some("close"), "{what}");
    assert_eq!(
        answer.header("content-type"),
        Some("application/json"),
        "{what}"
    );
    // One answer and nothing after it.
    let length = answer.header("content-length").unwrap().parse::<usize>();
    assert_eq!(length.unwrap(), answer.body.len(), "{what}: {answer:?}");
    let body = answer.json();
    assert_eq!(body["code"], "bad_request", "{what}");
    assert_eq!(body["request_id"], answer.header("x-request-id").unwrap());
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
}

#[tokio::test]
async fn each_ambiguous_form_is_refused_and_the_connection_closed() {
    let gateway = Gateway::start();
    let token = gateway.token("PUT", "k").max_hits(999).await;
    let mut wrong = Vec::new();
    for case in cases(&token) {
        let answer = raw::exchange(gateway.port, &case.request).await;
        if answer.status != 400 {
            wrong.push((case.name, answer.status));
            continue;
        }
        assert_refused(case.name, &answer);
    }
    assert_eq!(wrong, [], "not refused");
    assert!(!gateway.log().contains(SMUGGLED), "{}", gateway.log());
    assert_eq!(gateway.files(), [""; 0]);
    assert_eq!(gateway.used_hits(&token).await, 0);
}

/// The first request is answered completely.
#[tokio::test]
async fn a_second_request_is_checked_like_the_first() {
    let gateway = Gateway::start();
    let token = gateway.token("PUT", "k").max_hits(999).await;
    let first = b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n";
    for case in cases(&token) {
        let answer = raw::exchange(gateway.port, [&first[..], &case.request[..]].concat()).await;
        assert_eq!(answer.status, 200, "{}", case.name);
        let length: usize = answer.header("content-length").unwrap().parse().unwrap();
        let second = raw::parse(&answer.body[length..]);
        assert_refused(case.name, &second);
    }
    assert!(!gateway.log().contains(SMUGGLED));
    assert_eq!(gateway.files(), [""; 0]);
}

/// Byte by byte, so that the parser is interrupted in each of its states.
#[tokio::test]
async fn the_segmentation_of_the_bytes_does_not_matter() {
    let gateway = Gateway::start();
    let token = gateway.token("PUT", "k").max_hits(999).await;
    for case in cases(&token) {
        let mut stream = raw::connect(gateway.port).await;
        stream.set_nodelay(true).unwrap();
        for byte in &case.request {
            // The server may have answered and closed already.
            if stream.write_all(&[*byte]).await.is_err() {
                break;
            }
            tokio::task::yield_now().await;
        }
        assert_refused(case.name, &raw::read_to_end(&mut stream).await);
    }
    assert!(!gateway.log().contains(SMUGGLED));
}

#[tokio::test]
async fn well_formed_requests_are_served() {
    let gateway = Gateway::start();
    let token = gateway.token("PUT", "k").max_hits(999).await;
    let put = format!(
        "PUT /object/{token} HTTP/1.1\r\nHost: gateway.example:8080\r\nConnection: close\r\n"
    );
    for rest in [
        "Content-Length: 5\r\n\r\nhello",
        "Content-Length:\t 5 \t\r\n\r\nhello",
        "content-length:05\r\n\r\nhello",
        "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        "transfer-encoding:Chunked\r\n\r\n05\r\nhello\r\n000\r\n\r\n",
        "Transfer-Encoding: chunked\r\n\r\n1\r\nh\r\n4\r\nello\r\n0\r\nX-Trailer: y\r\n\r\n",
    ] {
        let stored = raw::exchange(gateway.port, format!("{put}{rest}")).await;
        assert_eq!(stored.status, 200, "{rest:?}: {stored:?}");
        assert_eq!(stored.json()["size"], 5, "{rest:?}");
    }
    for request in [
        "\r\nGET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        "GET /healthz HTTP/1.0\r\n\r\n",
        "GET http://a.example/healthz HTTP/1.1\r\nHost: A.example\r\nConnection: close\r\n\r\n",
        "GET /healthz HTTP/1.1\r\nHost: [::1]:80\r\nConnection: close\r\n\r\n",
        "GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Empty:\r\nConnection: close\r\n\r\n",
    ] {
        assert_eq!(
            raw::exchange(gateway.port, request).await.status,
            200,
            "{request:?}"
        );
    }
}

/// Uploads and requests share one connection, in pieces of any size.
#[tokio::test]
async fn pipelined_requests_are_separated() {
    let gateway = Gateway::start();
    let token = gateway.token("PUT", "k").max_hits(999).await;
    let put = |rest: &str| format!("PUT /object/{token} HTTP/1.1\r\nHost: a\r\n{rest}");
    let all = [
        put("Content-Length: 7\r\n\r\n0\r\n\r\nGE"),
        put("Transfer-Encoding: chunked\r\n\r\n6\r\nGET / \r\n1\r\nx\r\n0\r\nA: b\r\n\r\n"),
        "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(),
        put("Content-Length: 0\r\n\r\n"),
        put("Content-Length: 3\r\nConnection: close\r\n\r\nabc"),
    ]
    .concat();
    for piece in [1, 7, 64, all.len()] {
        let mut stream = raw::connect(gateway.port).await;
        stream.set_nodelay(true).unwrap();
        for part in all.as_bytes().chunks(piece) {
            stream.write_all(part).await.unwrap();
            tokio::task::yield_now().await;
        }
        let mut answers = raw::read_to_end(&mut stream).await;
        for (number, size) in [Some(7), Some(7), None, Some(0), Some(3)]
            .into_iter()
            .enumerate()
        {
            assert_eq!(
                answers.status, 200,
                "{number} in pieces of {piece}: {answers:?}"
            );
            let length: usize = answers.header("content-length").unwrap().parse().unwrap();
            let body: serde_json::Value = serde_json::from_slice(&answers.body[..length]).unwrap();
            assert_eq!(body.get("size").and_then(serde_json::Value::as_u64), size);
            let rest = answers.body.slice(length..);
            assert_eq!(
                rest.is_empty(),
                number == 4,
                "{number} in pieces of {piece}"
            );
            if !rest.is_empty() {
                answers = raw::parse(&rest);
            }
        }
    }
}

#[tokio::test]
async fn framing_errors_have_cors_headers() {
    const APP: &str = "https://app.example.com";
    let gateway = Gateway::with(json!({"cors": {"allowed_origins": [APP]}}));
    let origin = format!("Origin: {APP}");
    for (lines, allowed) in [
        (&[origin.as_bytes(), b"Bad Name: x"][..], Some(APP)),
        (&[b"Bad Name: x", origin.as_bytes()], Some(APP)),
        (&[b"Host: twice", origin.as_bytes()], Some(APP)),
        (&[origin.as_bytes(), b"Content-Length: 1x"], Some(APP)),
        (&[b"Origin: https://evil.example", b"Bad Name: x"], None),
        (&[b"Bad Name: x"], None),
    ] {
        let refused = raw::request(gateway.port, "GET /healthz", lines, b"").await;
        refused.assert_error(400, "bad_request");
        assert_eq!(refused.header("access-control-allow-origin"), allowed);
        assert_eq!(refused.header("vary"), Some("origin"));
        assert_eq!(refused.header("referrer-policy"), Some("no-referrer"));
        let exposed = refused.header("access-control-expose-headers").unwrap();
        assert!(exposed.contains("x-request-id"), "{exposed}");
    }
    let gateway = Gateway::with(json!({"cors": {"allowed_origins": ["*"]}}));
    let refused = raw::request(gateway.port, "GET /healthz", &[b"Bad Name: x"], b"").await;
    assert_eq!(refused.header("access-control-allow-origin"), Some("*"));
}
