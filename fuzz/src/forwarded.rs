//! `X-Forwarded-For` and `Forwarded` (RFC 7239): a client's headers cannot give it another address.
//!
//! The address is the one that the last trusted proxy has seen, or unknown where the client sends the header
//! that the proxy does not write.

use std::net::IpAddr;

use asset_gateway::http::forwarded::client_of_request;
use asset_gateway_backends::client_address::ClientAddress;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use ipnet::IpNet;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// `data`: header lines of a client, each after `f` for `Forwarded` or `x` for `X-Forwarded-For`.
pub fn run(data: &[u8]) {
    let mut sent = HeaderMap::new();
    for line in data.split(|&byte| byte == b'\n') {
        let (name, value) = match line.split_first() {
            Some((b'x', value)) => (X_FORWARDED_FOR, value),
            Some((b'f', value)) => (header::FORWARDED, value),
            Some(_) | None => return,
        };
        let Ok(value) = HeaderValue::from_bytes(value) else {
            return;
        };
        sent.append(name, value);
    }
    let trusted: [IpNet; 2] = ["10.0.0.0/8", "fd00::/8"].map(|net| net.parse().expect("a network"));
    let client = |source: &str, headers: &HeaderMap| {
        let source: IpAddr = source.parse().expect("an address");
        client_of_request(source.into(), headers, &trusted)
    };
    for (seen, by_x_forwarded_for, by_forwarded) in [
        ("203.0.113.7", "203.0.113.7", "for=203.0.113.7;proto=https"),
        (
            "203.0.113.7",
            "203.0.113.7, 10.1.2.3",
            "for=203.0.113.7, for=10.1.2.3",
        ),
        (
            "2001:db8::7",
            "[2001:db8::7]:80,fd00::1",
            "for=\"[2001:db8::7]:80\",for=\"[fd00::1]\"",
        ),
    ] {
        let known = ClientAddress::from(seen.parse::<IpAddr>().expect("an address"));
        assert_eq!(client(seen, &sent), known, "there is no proxy");
        for (written, other, chain) in [
            (X_FORWARDED_FOR, header::FORWARDED, by_x_forwarded_for),
            (header::FORWARDED, X_FORWARDED_FOR, by_forwarded),
        ] {
            for headers in [
                own_line(&sent, &written, chain),
                joined(&sent, &written, chain),
            ] {
                let found = client("10.0.0.1", &headers);
                let hidden = found == ClientAddress::Unknown && sent.contains_key(&other);
                assert!(found == known || hidden, "{found:?} of {headers:?}");
            }
        }
    }
}

/// The headers that a proxy forwards which adds a line.
fn own_line(sent: &HeaderMap, name: &HeaderName, chain: &str) -> HeaderMap {
    let mut headers = sent.clone();
    headers.append(name, HeaderValue::from_str(chain).expect("visible ASCII"));
    headers
}

/// The headers that a proxy forwards which joins all lines.
fn joined(sent: &HeaderMap, name: &HeaderName, chain: &str) -> HeaderMap {
    let mut headers = sent.clone();
    let lines = sent.get_all(name).iter().map(HeaderValue::as_bytes);
    let lines: Vec<&[u8]> = lines.chain([chain.as_bytes()]).collect();
    let line = HeaderValue::from_bytes(&lines.join(&b", "[..])).expect("parts of headers");
    headers.insert(name, line);
    headers
}
