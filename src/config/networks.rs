//! Lists of networks. A single address stands for the network that holds it alone.

use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net};
use serde::de::Error;
use serde::{Deserialize, Deserializer};

pub(super) fn parse(text: &str) -> Result<IpNet, String> {
    text.parse::<IpNet>()
        .or_else(|_| text.parse::<IpAddr>().map(IpNet::from))
        .map(|network| mapped(network).unwrap_or(network))
        .map_err(|_| format!("`{text}`: expected a network such as `10.0.0.0/8`, or an IP address"))
}

/// The IPv4 network that is written as an IPv4-mapped one: addresses are compared as IPv4.
fn mapped(network: IpNet) -> Option<IpNet> {
    let IpNet::V6(network) = network else {
        return None;
    };
    let length = network.prefix_len().checked_sub(96)?;
    let address = network.addr().to_ipv4_mapped()?;
    Ipv4Net::new(address, length).ok().map(IpNet::V4)
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(input: D) -> Result<Vec<IpNet>, D::Error> {
    let texts = Vec::<String>::deserialize(input)?;
    texts
        .iter()
        .map(|text| parse(text).map_err(D::Error::custom))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn networks_and_addresses_are_read() {
        assert_eq!(
            parse("10.0.0.0/8").map(|net| net.to_string()),
            Ok("10.0.0.0/8".into())
        );
        assert_eq!(
            parse("::1").map(|net| net.to_string()),
            Ok("::1/128".into())
        );
        // Written as IPv6, they are those of IPv4 all the same.
        for (text, expected) in [
            ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
            ("::ffff:10.0.0.1", "10.0.0.1/32"),
            ("::ffff:0:0/96", "0.0.0.0/0"),
            ("::ffff:0:0/95", "::ffff:0.0.0.0/95"),
            ("::10.0.0.0/104", "::a00:0/104"),
        ] {
            assert_eq!(parse(text).map(|net| net.to_string()), Ok(expected.into()));
        }
        let error = parse("10.0.0.0/33").expect_err("too long a prefix");
        assert!(
            error.contains("`10.0.0.0/33`: expected a network"),
            "{error}"
        );
    }
}
