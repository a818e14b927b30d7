//! Request heads that no client library sends.

use crate::support::gateway::Gateway;
use crate::support::raw;

#[tokio::test]
async fn duplicate_headers_are_refused_and_nothing_is_stored() {
    let gateway = Gateway::start();
    let token = gateway.token("PUT", "k").await;
    let first = format!("PUT /object/{token}");
    let lines: [&[&[u8]]; 3] = [
        &[
            b"Content-Length: 4",
            b"Content-Type: text/plain",
            b"Content-Type: text/html",
        ],
        &[
            b"Content-Length: 4",
            b"Content-MD5: AAAA",
            b"Content-MD5: BBBB",
        ],
        &[
            b"Content-Length: 4",
            b"X-Amz-Checksum-Sha256: A",
            b"X-Amz-Checksum-Sha256: B",
        ],
    ];
    for lines in lines {
        let refused = raw::request(gateway.port, &first, lines, b"body").await;
        refused.assert_error(400, "bad_request").says("only once");
    }
    assert_eq!(gateway.files(), [""; 0]);
    assert_eq!(gateway.put(&token, "body").await.status, 200);
}

/// Request heads outside of HTTP's grammar.
#[tokio::test]
async fn request_heads_that_are_not_http_are_refused() {
    let gateway = Gateway::start();
    let token = gateway.token("PUT", "k").await;
    let first = format!("PUT /object/{token}");
    let lines: [&[&[u8]]; 6] = [
        &[b"Content-Length: 4", b"Content-Length: 5"],
        &[b"Content-Length: -1"],
        &[b"Content-Length: 4x"],
        &[b"Content-Length: 99999999999999999999999"],
        &[b"Bad Name: x", b"Content-Length: 4"],
        &[b"X: a\x00b", b"Content-Length: 4"],
    ];
    for lines in lines {
        let refused = raw::request(gateway.port, &first, lines, b"body").await;
        let shown: Vec<_> = lines
            .iter()
            .map(|line| String::from_utf8_lossy(line))
            .collect();
        assert_eq!(refused.status, 400, "{shown:?}");
        assert_eq!(refused.json()["code"], "bad_request", "{shown:?}");
        let id = refused.header("x-request-id").unwrap();
        assert_eq!(refused.json()["request_id"], id);
    }
    for request in [
        "GET\r\n\r\n",
        "GET /healthz\r\n\r\n",
        "GET /healthz HTTP/9.9\r\n\r\n",
        "\u{1}\u{2}\u{3}\r\n\r\n",
        "GET /with space HTTP/1.1\r\nHost: a\r\n\r\n",
    ] {
        let refused = raw::exchange(gateway.port, request).await;
        assert!(
            (400..=505).contains(&refused.status),
            "{request:?}: {refused:?}"
        );
        assert!(refused.json()["code"].is_string(), "{request:?}");
    }
    assert_eq!(gateway.files(), [""; 0]);
    assert_eq!(gateway.put(&token, "body").await.status, 200);
}

#[tokio::test]
async fn contradictory_lengths_smuggle_no_request() {
    let gateway = Gateway::start();
    let token = gateway.token("PUT", "k").max_hits(5).await;
    let request = format!(
        "PUT /object/{token} HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\
         Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n\
         0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
    );
    raw::exchange(gateway.port, request).await;
    // At most one answer: no 404 of a smuggled request.
    assert!(
        !gateway.log().contains("\"error.type\":\"not_found\""),
        "{}",
        gateway.log()
    );
    let unknown = format!("PUT /object/{token}");
    let refused = raw::request(gateway.port, &unknown, &[b"Transfer-Encoding: gzip"], b"").await;
    assert!((400..=501).contains(&refused.status), "{refused:?}");
}

#[tokio::test]
async fn header_values_that_are_not_text_are_refused_where_they_matter() {
    let gateway = Gateway::start();
    gateway.place("k", "bytes");
    let put = gateway.token("PUT", "new").await;
    let refused = raw::request(
        gateway.port,
        &format!("PUT /object/{put}"),
        &[b"Content-Type: text/\xff\xfe", b"Content-Length: 1"],
        b"x",
    )
    .await;
    refused
        .assert_error(400, "bad_request")
        .says("content-type");
    assert_eq!(gateway.files(), ["k"]);
    let get = gateway.token("GET", "k").max_hits(1).await;
    let first = format!("GET /object/{get}");
    let lines: [&[u8]; 4] = [
        b"Range: bytes=\xff-",
        b"If-Match: \"\xff\"",
        b"If-None-Match: \"\xc3\xa9\"",
        b"If-Modified-Since: \xff",
    ];
    for line in lines {
        let refused = raw::request(gateway.port, &first, &[line], b"").await;
        refused.assert_error(400, "bad_request");
    }
    // A value that decides nothing is passed through.
    let odd: [&[u8]; 3] = [b"User-Agent: \xff", b"Referer: \xfe", b"X-Request-Id: \xff"];
    assert_eq!(
        raw::request(gateway.port, &first, &odd, b"").await.status,
        200
    );
    assert_eq!(gateway.used_hits(&get).await, 1);
}

#[tokio::test]
async fn an_oversized_request_head_is_an_error_in_json() {
    let gateway = Gateway::start();
    let long = format!("X-Long: {}", "x".repeat(1 << 20));
    let refused = raw::request(gateway.port, "GET /healthz", &[long.as_bytes()], b"").await;
    assert_eq!(refused.status, 431, "{refused:?}");
    let body = refused.json();
    assert_eq!(body["request_id"], refused.header("x-request-id").unwrap());
    assert!(body["code"].is_string() && body["message"].is_string());
    let path = format!("GET /object/{}", "x".repeat(100_000));
    let refused = raw::request(gateway.port, &path, &[], b"").await;
    assert!(matches!(refused.status, 404 | 414 | 431), "{refused:?}");
    assert!(refused.json()["code"].is_string());
}
