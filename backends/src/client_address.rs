//! The address of a client, and the network that limits count as one client.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

/// The address that the first untrusted hop connected from; the peer's without a trusted proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ClientAddress {
    /// An address; IPv4-mapped ones are IPv4.
    Known(IpAddr),
    /// A trusted proxy did not send it, or not in a readable form. No rule about addresses admits such
    /// a client.
    Unknown,
}

impl ClientAddress {
    /// The address, if it is known.
    pub fn ip(self) -> Option<IpAddr> {
        match self {
            Self::Known(ip) => Some(ip),
            Self::Unknown => None,
        }
    }

    /// The network that limits count as one client: the address, or of IPv6 its /64, which is what one
    /// customer has. All unknown clients are one network.
    #[must_use]
    pub fn network(self) -> Self {
        match self {
            Self::Known(IpAddr::V6(ip)) => {
                let [a, b, c, d, ..] = ip.segments();
                Self::Known(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into())
            }
            Self::Known(IpAddr::V4(_)) | Self::Unknown => self,
        }
    }
}

impl From<IpAddr> for ClientAddress {
    fn from(ip: IpAddr) -> Self {
        Self::Known(ip.to_canonical())
    }
}

/// An unknown address is written as `unknown` (RFC 7239 §6.2).
impl fmt::Display for ClientAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Known(ip) => ip.fmt(f),
            Self::Unknown => f.write_str("unknown"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mapped_addresses_are_ipv4_and_ipv6_networks_are_64_bits() {
        let client = |ip: &str| ClientAddress::from(ip.parse::<IpAddr>().unwrap());
        assert_eq!(client("::ffff:192.0.2.7"), client("192.0.2.7"));
        assert_eq!(client("::ffff:192.0.2.7").to_string(), "192.0.2.7");
        assert_eq!(
            client("2001:db8::1:0:0:7").network(),
            client("2001:db8::9").network()
        );
        assert_ne!(client("192.0.2.7").network(), client("192.0.2.8").network());
        assert_eq!(ClientAddress::Unknown.to_string(), "unknown");
    }
}
