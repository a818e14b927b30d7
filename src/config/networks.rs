//! Networks as people write them. A single address stands for the network that holds it alone.

use std::net::{IpAddr, Ipv4Addr};

use ipnet::{IpNet, Ipv4Net};
use serde::de::Error;
use serde::{Deserialize, Deserializer};

/// The networks that `text` names.
///
/// IPv4-mapped addresses of clients are compared as IPv4, so networks of such addresses are read as
/// IPv4's. One that is larger than all of IPv4 (`::ffff:0:0/90`) holds IPv4 and its neighbours in
/// IPv6: both are named. `::/0` and others that are not written in mapped form are IPv6's alone.
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

/// The IPv4 address that `network` is written with, where that is an IPv4-mapped one.
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
            // Written as IPv6, they are those of IPv4 all the same.
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
