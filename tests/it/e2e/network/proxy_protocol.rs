//! `server.proxy_protocol`: a trusted proxy's header gives the client's address.

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;

use crate::support::api::{Answer, until};
use crate::support::gateway::Gateway;
use crate::support::process::Process;
use crate::support::raw;

const V2: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";

fn speaking(trusted: &Value) -> Value {
    json!({"listen": "127.0.0.1:0", "proxy_protocol": true, "trusted_proxies": trusted})
}

fn v2(command_and_version: u8, family: u8, addresses: &[u8]) -> Vec<u8> {
    let length = u16::try_from(addresses.len()).unwrap().to_be_bytes();
    [&V2[..], &[command_and_version, family], &length, addresses].concat()
}

fn v4_addresses(source: [u8; 4]) -> Vec<u8> {
    [&source[..], &[127, 0, 0, 1], &[0x10, 0, 0, 80]].concat()
}

async fn behind(gateway: &Gateway, header: &[u8], token: &str, lines: &str) -> Answer {
    let head =
        format!("GET /object/{token} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{lines}\r\n");
    raw::exchange(gateway.port, [header, head.as_bytes()].concat()).await
}

#[tokio::test]
async fn the_clients_address_is_that_of_the_header() {
    let trusted = json!(["127.0.0.1", "10.0.0.0/8"]);
    let server = speaking(&trusted);
    let gateway = Gateway::with(json!({"server": server}));
    gateway.place("k", "bytes");
    // The header applies to control requests, too; these tokens have no rules.
    let token = token(&gateway, &["203.0.113.0/24", "2001:db8::/32"]).await;
    let v6 = {
        let source = "2001:db8::7"
            .parse::<std::net::Ipv6Addr>()
            .unwrap()
            .octets();
        [&source[..], &[0; 16], &[0x10, 0, 0, 80]].concat()
    };
    // TLVs may follow the addresses, such as a load balancer's TLS details.
    let with_more = [v4_addresses([203, 0, 113, 9]), vec![0xEE, 0, 3, 1, 2, 3]].concat();
    let cases: [(&str, Vec<u8>, &str, u16); 15] = [
        (
            "v1",
            b"PROXY TCP4 203.0.113.9 127.0.0.1 4000 80\r\n".to_vec(),
            "",
            200,
        ),
        (
            "v1 of IPv6",
            b"PROXY TCP6 2001:db8::7 ::1 4000 80\r\n".to_vec(),
            "",
            200,
        ),
        (
            "v1 mapped",
            b"PROXY TCP6 ::ffff:203.0.113.9 ::1 4000 80\r\n".to_vec(),
            "",
            200,
        ),
        (
            "v1 of somebody else",
            b"PROXY TCP4 198.51.100.1 127.0.0.1 4000 80\r\n".to_vec(),
            "",
            403,
        ),
        ("v1 of nobody", b"PROXY UNKNOWN\r\n".to_vec(), "", 403),
        (
            "v1 of nobody, at length",
            b"PROXY UNKNOWN ffff::1 ffff::2 65535 65535\r\n".to_vec(),
            "",
            403,
        ),
        (
            "v2",
            v2(0x21, 0x11, &v4_addresses([203, 0, 113, 9])),
            "",
            200,
        ),
        ("v2 and more", v2(0x21, 0x11, &with_more), "", 200),
        ("v2 of IPv6", v2(0x21, 0x21, &v6), "", 200),
        (
            "v2 of somebody else",
            v2(0x21, 0x11, &v4_addresses([198, 51, 100, 1])),
            "",
            403,
        ),
        ("v2 of a Unix socket", v2(0x21, 0x31, &[0; 216]), "", 403),
        ("v2 of the proxy itself", v2(0x20, 0x00, &[]), "", 403),
        // A client's `X-Forwarded-For` is ignored; that of an announced trusted proxy applies.
        (
            "forged",
            b"PROXY TCP4 198.51.100.1 127.0.0.1 4000 80\r\n".to_vec(),
            "X-Forwarded-For: 203.0.113.9\r\n",
            403,
        ),
        (
            "forged by nobody",
            b"PROXY UNKNOWN\r\n".to_vec(),
            "X-Forwarded-For: 203.0.113.9\r\n",
            403,
        ),
        (
            "a second proxy",
            b"PROXY TCP4 10.0.0.9 127.0.0.1 4000 80\r\n".to_vec(),
            "X-Forwarded-For: 203.0.113.9\r\n",
            200,
        ),
    ];
    for (name, header, lines, status) in cases {
        let answer = behind(&gateway, &header, &token, lines).await;
        assert_eq!(answer.status, status, "{name}: {answer:?}");
    }
}

/// The control plane uses the same listener, so its connection has a header, too.
async fn token(gateway: &Gateway, allowed: &[&str]) -> String {
    let body = json!({"method": "GET", "bucket": "local", "key": "k", "allowed_ips": allowed});
    let body = body.to_string();
    let request = format!(
        "PROXY UNKNOWN\r\nPOST /token HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\
         Authorization: Bearer {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        crate::support::api::CONTROL,
        body.len()
    );
    let created = raw::exchange(gateway.port, request).await;
    assert_eq!(created.status, 201, "{created:?}");
    created.json()["token"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_trusted_proxy_without_a_header_is_disconnected() {
    let gateway = Gateway::with(json!({"server": speaking(&json!(["127.0.0.1"]))}));
    let v2_too_short = v2(0x21, 0x11, &[1, 2, 3]);
    let v2_too_long = [&V2[..], &[0x21, 0x11, 0xff, 0xff], &[0; 0xffff]].concat();
    let v2_of_version_3 = v2(0x31, 0x11, &v4_addresses([203, 0, 113, 9]));
    for wrong in [
        b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n".as_slice(),
        b"PROXY TCP4 203.0.113.9 127.0.0.1 4000\r\n",
        b"PROXY TCP4 2001:db8::1 ::1 4000 80\r\n",
        b"PROXY TCP4 203.0.113.9 127.0.0.1 4000 80\n",
        b"proxy TCP4 203.0.113.9 127.0.0.1 4000 80\r\n",
        &[
            b"PROXY UNKNOWN ".as_slice(),
            [b'x'; 200].as_slice(),
            b"\r\n",
        ]
        .concat(),
        v2_too_short.as_slice(),
        v2_too_long.as_slice(),
        v2_of_version_3.as_slice(),
    ] {
        let mut stream = raw::connect(gateway.port).await;
        let mut all = wrong.to_vec();
        all.extend_from_slice(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n");
        // The server may close meanwhile.
        let _ = stream.write_all(&all).await;
        let mut answer = Vec::new();
        let _ = tokio::io::AsyncReadExt::read_to_end(&mut stream, &mut answer).await;
        assert_eq!(answer, b"", "{}", wrong.escape_ascii());
    }
    assert!(
        !gateway
            .logged("a trusted proxy sent no valid PROXY protocol header")
            .is_empty()
    );
}

#[tokio::test]
async fn a_header_of_an_untrusted_peer_is_refused() {
    let gateway = Gateway::with(json!({"server": speaking(&json!(["10.0.0.1"]))}));
    assert_eq!(gateway.get("unknown").await.status, 404);
    let header = b"PROXY TCP4 203.0.113.9 127.0.0.1 4000 80\r\n";
    let refused = behind(&gateway, header, "unknown", "").await;
    refused.assert_error(400, "bad_request");
    let refused = behind(
        &gateway,
        &v2(0x21, 0x11, &v4_addresses([203, 0, 113, 9])),
        "unknown",
        "",
    )
    .await;
    refused.assert_error(400, "bad_request");
    assert!(!gateway.log().contains("203.0.113.9"));
}

#[tokio::test]
async fn a_slow_header_ends_the_connection() {
    let sections =
        json!({"server": speaking(&json!(["127.0.0.1"])), "limits": {"header_read_seconds": 1}});
    let gateway = Gateway::with(sections);
    for beginning in [&b"PROXY TCP4 203."[..], &V2[..7], b""] {
        let mut stream = raw::connect(gateway.port).await;
        stream.write_all(beginning).await.unwrap();
        let mut answer = Vec::new();
        let read = tokio::io::AsyncReadExt::read_to_end(&mut stream, &mut answer);
        let read = tokio::time::timeout(std::time::Duration::from_secs(20), read).await;
        read.expect("the server closes").unwrap();
        assert_eq!(answer, b"");
    }
}

/// Byte by byte; protocol detection starts after the header.
#[tokio::test]
async fn http2_is_detected_behind_a_header_in_pieces() {
    let gateway = Gateway::with(json!({"server": speaking(&json!(["127.0.0.1"]))}));
    for header in [
        b"PROXY TCP4 203.0.113.9 127.0.0.1 4000 80\r\n".to_vec(),
        v2(0x21, 0x11, &v4_addresses([203, 0, 113, 9])),
    ] {
        let mut stream = raw::connect(gateway.port).await;
        stream.set_nodelay(true).unwrap();
        for byte in header {
            stream.write_all(&[byte]).await.unwrap();
            tokio::task::yield_now().await;
        }
        let io = hyper_util::rt::TokioIo::new(stream);
        let (mut client, connection) = hyper::client::conn::http2::handshake::<
            _,
            _,
            axum::body::Body,
        >(hyper_util::rt::TokioExecutor::new(), io)
        .await
        .unwrap();
        tokio::spawn(connection);
        let request = http::Request::get("http://a/object/unknown");
        let request = request.body(axum::body::Body::empty()).unwrap();
        assert_eq!(client.send_request(request).await.unwrap().status(), 404);
    }
    until("both requests are logged with the address", async || {
        let accesses = gateway.logged_accesses("/object/{token}");
        accesses.len() == 2
            && accesses
                .iter()
                .all(|line| line["client.address"] == "203.0.113.9")
    })
    .await;
}

#[tokio::test]
async fn proxy_protocol_needs_trusted_proxies() {
    let builder = Gateway::builder().with(json!({"server": speaking(&json!([]))}));
    for arguments in [&["check"][..], &[]] {
        let mut command = builder.command();
        command.args(arguments);
        let mut process = Process::start(command);
        assert!(!process.wait().success());
        let said = process.stderr() + &process.stdout();
        assert!(said.contains("server.proxy_protocol"), "{said}");
        assert!(said.contains("trusted_proxies"), "{said}");
    }
}

#[tokio::test]
async fn each_client_has_its_own_share_of_the_connections() {
    let limits = json!({"max_connections": 40, "max_connections_per_client": 2});
    let sections = json!({"server": speaking(&json!(["127.0.0.1"])), "limits": limits});
    let gateway = Gateway::with(sections);
    let header = |client: u8| format!("PROXY TCP4 203.0.113.{client} 127.0.0.1 4000 80\r\n");
    let mut open = Vec::new();
    for _ in 0..2 {
        let mut stream = raw::connect(gateway.port).await;
        let request = format!("{}GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n", header(1));
        stream.write_all(request.as_bytes()).await.unwrap();
        raw::take(&mut stream, 16).await;
        open.push(stream);
    }
    let refused = behind(&gateway, header(1).as_bytes(), "unknown", "").await;
    refused.assert_error(503, "unavailable").says("connections");
    assert_eq!(refused.header("retry-after"), Some("1"));
    let other = behind(&gateway, header(2).as_bytes(), "unknown", "").await;
    other.assert_error(404, "token_not_found");
    // A proxy's own requests are not counted.
    let own = v2(0x20, 0, &[]);
    for _ in 0..4 {
        let mut stream = raw::connect(gateway.port).await;
        let request = [&own[..], b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"].concat();
        stream.write_all(&request).await.unwrap();
        assert!(
            raw::take(&mut stream, 16)
                .await
                .starts_with(b"HTTP/1.1 200")
        );
        open.push(stream);
    }
    open.clear();
    until("a connection is free", async || {
        behind(&gateway, header(1).as_bytes(), "unknown", "")
            .await
            .status
            == 404
    })
    .await;
}
