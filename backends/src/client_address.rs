//! Who a client is as far as addresses tell.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

/// The address that the last trusted proxy has seen, or the peer's where there is no proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ClientAddress {
    /// IPv4-mapped addresses are IPv4.
    Known(IpAddr),
    /// A trusted proxy did not say it, or not in a form that can be read. No rule about addresses
    /// applies in such a client's favour.
    Unknown,
}

impl ClientAddress {
    pub fn ip(self) -> Option<IpAddr> {
        match self {
            Self::Known(ip) => Some(ip),
            Self::Unknown => None,
        }
    }

    /// What limits count as one client: the address, for IPv6 its /64, which is what one customer has.
    /// All unknown clients are one.
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

/// An unknown client is `unknown`, the word of RFC 7239 §6.2.
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
    fn addresses_are_written_and_counted() {
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
