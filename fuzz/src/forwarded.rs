//! `X-Forwarded-For` and `Forwarded`: no header that a client can add changes the address that the last
//! trusted proxy has seen.

use std::net::IpAddr;

use asset_gateway::http::context::client_ip;
use http::{HeaderMap, HeaderName, HeaderValue};
use ipnet::IpNet;

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED: HeaderName = HeaderName::from_static("forwarded");

/// `data`: lines that a client sends, `f` for `Forwarded` or `x` for `X-Forwarded-For` in front of each.
pub fn run(data: &[u8]) {
    let mut sent = HeaderMap::new();
    for line in data.split(|&byte| byte == b'\n') {
        let (name, value) = match line.split_first() {
            Some((b'x', value)) => (FORWARDED_FOR, value),
            Some((b'f', value)) => (FORWARDED, value),
            Some(_) | None => return,
        };
        let Ok(value) = HeaderValue::from_bytes(value) else {
            return;
        };
        sent.append(name, value);
    }
    let trusted: [IpNet; 2] = ["10.0.0.0/8", "fd00::/8"].map(|net| net.parse().expect("a network"));
    for client in ["203.0.113.7", "2001:db8::7"] {
        let seen: IpAddr = client.parse().expect("an address");
        assert_eq!(
            client_ip(seen, &sent, &trusted),
            seen,
            "nobody vouches for it"
        );
        for chain in [
            client.to_owned(),
            format!("{client}, 10.1.2.3"),
            format!("{client},fd00::1, 10.1.2.3"),
        ] {
            for headers in [own_line(&sent, &chain), joined(&sent, &chain)] {
                let found = client_ip("10.0.0.1".parse().expect("an address"), &headers, &trusted);
                assert_eq!(found, seen, "{headers:?}");
            }
        }
    }
}

/// A proxy that adds a line.
fn own_line(sent: &HeaderMap, chain: &str) -> HeaderMap {
    let mut headers = sent.clone();
    headers.append(
        FORWARDED_FOR,
        HeaderValue::from_str(chain).expect("visible ASCII"),
    );
    headers
}

/// A proxy that makes one line of all.
fn joined(sent: &HeaderMap, chain: &str) -> HeaderMap {
    let mut headers = sent.clone();
    let lines = sent.get_all(FORWARDED_FOR).iter();
    let lines: Vec<&[u8]> = lines
        .map(HeaderValue::as_bytes)
        .chain([chain.as_bytes()])
        .collect();
    let line = HeaderValue::from_bytes(&lines.join(&b", "[..])).expect("parts of headers");
    headers.insert(FORWARDED_FOR, line);
    headers
}
