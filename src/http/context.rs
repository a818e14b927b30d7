//! What is known of a request before anybody handles it.

use std::net::IpAddr;

use http::{HeaderMap, HeaderName, HeaderValue, Method};
use ipnet::IpNet;

use asset_gateway_backends::callback_queue::CallerRef;

use super::referer;
use crate::tokens::TokenSecret;
use crate::tokens::redeem::Client;

pub static X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
static X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Put into every request's extensions by [`super::observe`].
#[derive(Debug, Clone)]
pub struct RequestContext {
    /// Visible ASCII.
    pub request_id: HeaderValue,
    /// The client's address as far as it can be trusted; IPv4-mapped ones as IPv4.
    pub client_ip: IpAddr,
}

impl RequestContext {
    pub fn request_id(&self) -> &str {
        self.request_id.to_str().unwrap_or_default()
    }

    /// Who sends a request with these `headers` for `token`. Headers that are not text count as empty.
    /// `public_base` is that of the URLs that the gateway hands out.
    pub fn client<'a>(
        &'a self,
        headers: &'a HeaderMap,
        public_base: &str,
        token: &TokenSecret,
    ) -> Client<'a> {
        let text = |name| {
            headers
                .get(name)
                .and_then(|value: &HeaderValue| value.to_str().ok())
                .unwrap_or_default()
        };
        let referer = text(http::header::REFERER);
        let own = [authority(public_base), text(http::header::HOST)];
        Client {
            caller: CallerRef {
                request_id: self.request_id(),
                client_ip: self.client_ip,
                user_agent: text(http::header::USER_AGENT),
                referer: referer::without_link(referer, &own, token.expose()),
                range: text(http::header::RANGE),
            },
            referer,
        }
    }
}

/// Host and port of a URL.
fn authority(url: &str) -> &str {
    let after = url.split_once("://").map_or(url, |(_, after)| after);
    after.split('/').next().unwrap_or_default()
}

/// The caller's request id where it is one to 128 visible ASCII characters, else a UUID.
pub fn request_id(headers: &HeaderMap) -> HeaderValue {
    match headers.get(&X_REQUEST_ID) {
        Some(id)
            if (1..=128).contains(&id.len()) && id.as_bytes().iter().all(u8::is_ascii_graphic) =>
        {
            id.clone()
        }
        Some(_) | None => {
            let mut id = [0; uuid::fmt::Hyphenated::LENGTH];
            let id = uuid::Uuid::new_v4().hyphenated().encode_lower(&mut id);
            // A UUID is visible ASCII.
            HeaderValue::from_str(id).unwrap_or(HeaderValue::from_static("none"))
        }
    }
}

/// The last address of `X-Forwarded-For` that no trusted proxy vouches for as its own, where the
/// peer is a trusted proxy; else the peer.
pub fn client_ip(peer: IpAddr, headers: &HeaderMap, trusted: &[IpNet]) -> IpAddr {
    let is_trusted = |ip: &IpAddr| trusted.iter().any(|net| net.contains(ip));
    let mut client = peer.to_canonical();
    if !is_trusted(&client) {
        return client;
    }
    let hops = headers.get_all(&X_FORWARDED_FOR);
    let hops = hops.iter().rev().filter_map(|line| line.to_str().ok());
    for hop in hops.flat_map(|line| line.rsplit(',')) {
        let Some(ip) = parse_hop(hop.trim()) else {
            break;
        };
        client = ip;
        if !is_trusted(&client) {
            break;
        }
    }
    client
}

/// `1.2.3.4`, `1.2.3.4:567`, `::1` or `[::1]:567`.
fn parse_hop(hop: &str) -> Option<IpAddr> {
    let ip = hop.parse::<IpAddr>().ok();
    ip.or_else(|| hop.parse::<std::net::SocketAddr>().ok().map(|a| a.ip()))
        .map(|ip| ip.to_canonical())
}

/// Methods as metric labels: what a client makes up is `other`.
pub fn method_label(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "PUT" => "PUT",
        "POST" => "POST",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        "OPTIONS" => "OPTIONS",
        _ => "other",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in lines {
            map.append(*name, value.parse().unwrap());
        }
        map
    }

    #[test]
    fn keeps_a_good_request_id_and_replaces_others() {
        let keep = request_id(&headers(&[("x-request-id", "abc-1")]));
        assert_eq!(keep, "abc-1");
        for bad in ["", "has space", &"x".repeat(129)] {
            let made = request_id(&headers(&[("x-request-id", bad)]));
            assert_eq!(made.len(), 36, "{bad}");
        }
    }

    #[test]
    fn believes_only_trusted_proxies() {
        let trusted: Vec<IpNet> = vec!["10.0.0.0/8".parse().unwrap()];
        let client = |peer: &str, lines: &[(&'static str, &str)]| {
            client_ip(peer.parse().unwrap(), &headers(lines), &trusted).to_string()
        };
        let forged = [("x-forwarded-for", "6.6.6.6")];
        assert_eq!(client("1.2.3.4", &forged), "1.2.3.4");
        assert_eq!(client("::ffff:1.2.3.4", &forged), "1.2.3.4");
        assert_eq!(client("10.0.0.1", &[]), "10.0.0.1");
        let chain = [("x-forwarded-for", "6.6.6.6, 7.7.7.7, 10.0.0.9")];
        assert_eq!(client("10.0.0.1", &chain), "7.7.7.7");
        let two = [
            ("x-forwarded-for", "6.6.6.6"),
            ("x-forwarded-for", "[2001:db8::1]:80"),
        ];
        assert_eq!(client("10.0.0.1", &two), "2001:db8::1");
        let junk = [("x-forwarded-for", "6.6.6.6, junk")];
        assert_eq!(client("10.0.0.1", &junk), "10.0.0.1");
    }
}
