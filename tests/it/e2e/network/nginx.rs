//! nginx as a reverse proxy: the gateway answers exactly the requests that nginx passes on.

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpSocket;

use super::smuggling_cases::{SMUGGLED, cases};
use crate::support::api::until;
use crate::support::gateway::Gateway;
use crate::support::nginx::Nginx;
use crate::support::raw;

/// Ids of requests that the gateway has answered.
fn served(gateway: &Gateway) -> Vec<String> {
    let lines = gateway.log();
    let lines = lines
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let lines = lines.filter(|line| line["target"] == "access");
    lines
        .map(|line| line["request_id"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn nothing_is_smuggled_past_nginx() {
    let gateway = Gateway::start();
    let nginx = Nginx::start(gateway.port).await;
    let token = gateway.token("PUT", "k").max_hits(999).await;
    // A plain request works, and nginx gives each request an id.
    let put = format!("PUT /object/{token}");
    let lines: [&[u8]; 2] = [b"Transfer-Encoding: chunked", b"X-Request-Id: smuggled"];
    let stored = raw::request(nginx.port, &put, &lines, b"5\r\nhello\r\n0\r\n\r\n").await;
    assert_eq!(stored.status, 200, "{stored:?}");
    assert!(stored.header("x-request-id").unwrap().starts_with("nginx-"));

    for case in cases(&token) {
        // nginx closes connections that it does not understand, some without an answer.
        let mut request = case.request;
        request.extend_from_slice(b"GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        nginx.exchange(&request).await;
    }
    let last = raw::request(nginx.port, "GET /healthz", &[], b"").await;
    let last = last.header("x-request-id").unwrap().to_owned();
    until("the last one is logged on both sides", async || {
        served(&gateway).contains(&last) && nginx.passed_on().contains(&last)
    })
    .await;
    let (passed, log) = (nginx.passed_on(), gateway.log());
    assert!(
        passed.len() > 10,
        "nginx passes well-formed requests on: {passed:?}"
    );
    assert!(!log.contains(SMUGGLED), "{log}");
    for id in served(&gateway) {
        let own = !id.starts_with("nginx-");
        assert!(own || passed.contains(&id), "{id} is no request of nginx's");
    }
    until("uploads that nginx has cut off are gone", async || {
        gateway.files() == ["k"]
    })
    .await;
}

#[tokio::test]
async fn a_clients_own_headers_do_not_change_its_address_behind_nginx() {
    let trusting = json!({"listen": "127.0.0.1:0", "trusted_proxies": ["127.0.0.1"]});
    let gateway = Gateway::with(json!({"server": trusting}));
    gateway.place("k", "bytes");
    let nginx = Nginx::start(gateway.port).await;
    let fields = json!({"allowed_ips": ["203.0.113.9"]});
    let token = gateway.token("GET", "k").with(fields).await;
    let first = format!("GET /object/{token}");
    for line in [
        &b"X-Forwarded-For: 203.0.113.9"[..],
        b"X-Forwarded-For: 203.0.113.9, \xff",
        b"X-Forwarded-For: 203.0.113.9,",
        b"X-Forwarded-For: \"203.0.113.9",
        b"Forwarded: for=203.0.113.9",
        b"Forwarded: for=203.0.113.9, for=\"",
        b"Forwarded: for=127.0.0.2",
    ] {
        // From an address of no proxy.
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.2:0".parse().unwrap()).unwrap();
        let nginx = ([127, 0, 0, 1], nginx.port).into();
        let mut stream = socket.connect(nginx).await.unwrap();
        let head = [
            first.as_bytes(),
            b" HTTP/1.1\r\nHost: a\r\nConnection: close\r\n",
        ]
        .concat();
        let request = [&head[..], line, b"\r\n\r\n"].concat();
        stream.write_all(&request).await.unwrap();
        let refused = raw::read_to_end(&mut stream).await;
        assert_eq!(refused.status, 403, "{}", line.escape_ascii());
    }
}
