//! The rules of a token: allowed addresses, allowed referers, start time.

use asset_gateway_backends::client_address::ClientAddress;
use asset_gateway_backends::token_store::TokenRecord;
use url::Url;

/// Why a rule refuses an access; for the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    #[error("this link is not valid yet")]
    TooEarly,
    #[error("this link may not be used from this address")]
    Address,
    #[error("this link may not be used from this page")]
    Referer,
}

/// Checks the rules of `record`. `now`: Unix seconds. `referer`: empty where absent. An absent referer is
/// refused where referers are restricted, an unknown address where addresses are.
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

/// Whether the referer has the prefix's origin and a path that begins with the prefix's:
/// `https://a.example` does not cover `https://a.example.evil.test/`.
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
    fn a_token_is_refused_before_its_start() {
        let mut record = record();
        record.not_before = Some(50);
        assert_eq!(check(&record, 49, HERE, ""), Err(Denied::TooEarly));
        assert_eq!(check(&record, 50, HERE, ""), Ok(()));
    }

    #[test]
    fn only_allowed_addresses_are_admitted() {
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
    fn only_allowed_referers_are_admitted() {
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
