//! Who may use a token: addresses, referers, not too early.

use asset_gateway_backends::client_address::ClientAddress;
use asset_gateway_backends::token_store::TokenRecord;
use url::Url;

/// Why an access is refused; the text is for the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Denied {
    TooEarly,
    Address,
    Referer,
}

impl Denied {
    pub fn message(self) -> &'static str {
        match self {
            Self::TooEarly => "this link is not valid yet",
            Self::Address => "this link may not be used from this address",
            Self::Referer => "this link may not be used from this page",
        }
    }
}

/// Checks the rules of `record`. `now` is in Unix seconds; an absent referer is the empty string
/// and never allowed where referers are restricted; nor is an unknown address where addresses are.
pub fn check(
    record: &TokenRecord,
    now: u64,
    client_ip: ClientAddress,
    referer: &str,
) -> Result<(), Denied> {
    if record.not_before.is_some_and(|start| now < start) {
        return Err(Denied::TooEarly);
    }
    if !record.allowed_ips.is_empty() {
        let ip = client_ip.ip().ok_or(Denied::Address)?;
        if !record.allowed_ips.iter().any(|net| net.contains(&ip)) {
            return Err(Denied::Address);
        }
    }
    if !record.allowed_referers.is_empty() {
        let referer = Url::parse(referer).map_err(|_| Denied::Referer)?;
        if !record
            .allowed_referers
            .iter()
            .any(|prefix| covers(prefix, &referer))
        {
            return Err(Denied::Referer);
        }
    }
    Ok(())
}

/// Same origin, and a path below the prefix's: `https://a.example` does not cover
/// `https://a.example.evil.test/`.
fn covers(prefix: &str, referer: &Url) -> bool {
    Url::parse(prefix).is_ok_and(|prefix| {
        prefix.origin() == referer.origin() && referer.path().starts_with(prefix.path())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use asset_gateway_backends::token_store::Method;
    use std::net::IpAddr;

    fn record() -> TokenRecord {
        TokenRecord::new("b", "k", Method::Get, 0, 100)
    }

    const HERE: ClientAddress =
        ClientAddress::Known(IpAddr::V4(std::net::Ipv4Addr::new(10, 1, 2, 3)));

    #[test]
    fn not_before() {
        let mut record = record();
        record.not_before = Some(50);
        assert_eq!(check(&record, 49, HERE, ""), Err(Denied::TooEarly));
        assert_eq!(check(&record, 50, HERE, ""), Ok(()));
    }

    #[test]
    fn addresses() {
        let mut record = record();
        record.allowed_ips = vec!["10.1.0.0/16".parse().unwrap(), "fd00::/8".parse().unwrap()];
        for (ip, allowed) in [
            ("10.1.9.9", true),
            ("::ffff:10.1.9.9", true),
            ("10.2.0.1", false),
            ("fd12::1", true),
            ("2001:db8::1", false),
        ] {
            let client = ClientAddress::from(ip.parse::<IpAddr>().unwrap());
            assert_eq!(check(&record, 0, client, "").is_ok(), allowed, "{ip}");
        }
        record.allowed_ips = vec!["0.0.0.0/0".parse().unwrap(), "::/0".parse().unwrap()];
        let unknown = ClientAddress::Unknown;
        assert_eq!(check(&record, 0, unknown, ""), Err(Denied::Address));
        record.allowed_ips.clear();
        assert_eq!(check(&record, 0, unknown, ""), Ok(()));
    }

    #[test]
    fn referers() {
        let mut record = record();
        record.allowed_referers = vec!["https://a.example/shop/".into(), "http://b.example".into()];
        for (referer, allowed) in [
            ("https://a.example/shop/1?x=y", true),
            ("https://a.example/other", false),
            ("https://a.example.evil.test/shop/", false),
            ("http://b.example/any", true),
            ("https://b.example/any", false),
            ("http://b.example:81/any", false),
            ("http://b.example@evil.test/", false),
            ("", false),
            ("nonsense", false),
        ] {
            let is = check(&record, 0, HERE, referer).is_ok();
            assert_eq!(is, allowed, "{referer}");
        }
    }
}
