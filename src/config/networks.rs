//! Parses networks of the configuration; a single address is a network of one.

use std::net::{IpAddr, Ipv4Addr};

use ipnet::{IpNet, Ipv4Net};
use serde::de::Error;
use serde::{Deserialize, Deserializer};

/// The networks that `text` names.
///
/// Clients' IPv4-mapped addresses are compared as IPv4, so networks in mapped form are IPv4 networks. A
/// mapped network larger than all of IPv4 (`::ffff:0:0/90`) gives two: IPv4 and the IPv6 network. `::/0`
/// and other networks that are not in mapped form are IPv6 only.
pub fn parse(text: &str) -> Result<Vec<IpNet>, String> {
    let network = text
        .parse::<IpNet>()
        .or_else(|_| text.parse::<IpAddr>().map(IpNet::from))
        .map_err(|_| {
            let text = text.escape_debug();
            format!("`{text}`: expected a network such as `10.0.0.0/8`, or an IP address")
        })?;
    let Some(address) = mapped(network) else {
        return Ok(vec![network]);
    };
    Ok(match network.prefix_len().checked_sub(96) {
        Some(length) => vec![Ipv4Net::new_assert(address, length).into()],
        None => vec![Ipv4Net::default().into(), network],
    })
}

/// The IPv4 address of a network in IPv4-mapped form.
fn mapped(network: IpNet) -> Option<Ipv4Addr> {
    match network {
        IpNet::V4(_) => None,
        IpNet::V6(network) => network.addr().to_ipv4_mapped(),
    }
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(input: D) -> Result<Vec<IpNet>, D::Error> {
    let mut networks = Vec::new();
    for text in Vec::<String>::deserialize(input)? {
        networks.extend(parse(&text).map_err(D::Error::custom)?);
    }
    Ok(networks)
}

#[cfg(test)]
mod tests {
    use super::parse;

    fn read(text: &str) -> Vec<String> {
        let networks = parse(text).unwrap_or_else(|error| panic!("{error}"));
        networks.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn networks_and_addresses_are_read() {
        for (text, expected) in [
            ("10.0.0.0/8", &["10.0.0.0/8"][..]),
            ("::1", &["::1/128"]),
            // Mapped form.
            ("::ffff:10.0.0.0/104", &["10.0.0.0/8"]),
            ("::ffff:10.0.0.1", &["10.0.0.1/32"]),
            ("::ffff:0:0/96", &["0.0.0.0/0"]),
            ("::ffff:0:0/95", &["0.0.0.0/0", "::ffff:0.0.0.0/95"]),
            ("::ffff:0:0/0", &["0.0.0.0/0", "::ffff:0.0.0.0/0"]),
            ("::10.0.0.0/104", &["::a00:0/104"]),
            ("::/0", &["::/0"]),
        ] {
            assert_eq!(read(text), expected, "{text}");
        }
        let error = parse("10.0.0.0/33").expect_err("too long a prefix");
        assert!(
            error.contains("`10.0.0.0/33`: expected a network"),
            "{error}"
        );
    }
}
