//! IPv4 addresses that are embedded in IPv6 addresses.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The address, and every IPv4 address that a packet to it may reach.
pub fn with_embedded_ipv4(address: IpAddr) -> Vec<IpAddr> {
    let mut addresses = vec![address];
    if let IpAddr::V6(address) = address {
        addresses.extend(embedded(address).into_iter().map(IpAddr::V4));
    }
    addresses
}

/// 32 bits of `bits` that begin at bit `from`, counted from the left.
fn cut(bits: u128, from: u32) -> Ipv4Addr {
    Ipv4Addr::from(u32::try_from((bits >> (96 - from)) & 0xffff_ffff).unwrap_or_default())
}

fn embedded(address: Ipv6Addr) -> Vec<Ipv4Addr> {
    let bits = u128::from(address);
    let mut found = match address.segments() {
        // IPv4-compatible (RFC 4291 §2.5.5.1), but for :: and ::1.
        [0, 0, 0, 0, 0, 0, _, _] if bits > 1 => vec![cut(bits, 96)],
        // IPv4-mapped (RFC 4291 §2.5.5.2), IPv4-translated (RFC 2765 §2.1).
        [0, 0, 0, 0, 0, 0xffff, _, _] | [0, 0, 0, 0, 0xffff, 0, _, _] => vec![cut(bits, 96)],
        // NAT64 (RFC 6052 §2.1).
        [0x64, 0xff9b, 0, 0, 0, 0, _, _] => vec![cut(bits, 96)],
        [0x64, 0xff9b, 1, ..] => local_nat64(bits),
        // 6to4 (RFC 3056 §2).
        [0x2002, ..] => vec![cut(bits, 16)],
        // Teredo (RFC 4380 §4): the server's address, and the client's, inverted.
        [0x2001, 0, ..] => vec![cut(bits, 32), cut(!bits, 96)],
        _ => Vec::new(),
    };
    // ISATAP (RFC 5214 §6.1), with any prefix.
    if let [.., 0 | 0x200, 0x5efe, _, _] = address.segments() {
        found.push(cut(bits, 96));
    }
    found
}

/// Local-use NAT64 (RFC 8215), whose prefix length is not known. In the forms of RFC 6052 §2.2, bits 64 to 71
/// and those after the address are zero; every form that fits yields an address.
fn local_nat64(bits: u128) -> Vec<Ipv4Addr> {
    // Without bits 64 to 71, which split the address.
    let joined = (bits >> 64 << 64) | ((bits << 72) >> 64);
    let mut found = Vec::new();
    let is_split = (bits >> 56) & 0xff == 0;
    for (from, rest) in [(48, 40), (56, 32), (64, 24)] {
        if is_split && bits.trailing_zeros() >= rest {
            found.push(cut(joined, from));
        }
    }
    // These bits are zero where a shorter prefix puts the address further left.
    if bits & 0xffff_ffff != 0 || found.is_empty() {
        found.push(cut(bits, 96));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn v4(text: &str) -> Vec<String> {
        let found = with_embedded_ipv4(text.parse().unwrap());
        let found = found.iter().skip(1).map(ToString::to_string);
        found.collect()
    }

    #[test]
    fn every_embedding_is_found() {
        for (address, expected) in [
            ("::ffff:192.0.2.33", "192.0.2.33"),
            ("::192.0.2.33", "192.0.2.33"),
            ("::2", "0.0.0.2"),
            ("::ffff:0:192.0.2.33", "192.0.2.33"),
            ("64:ff9b::192.0.2.33", "192.0.2.33"),
            ("64:ff9b:1::192.0.2.33", "192.0.2.33"),
            ("64:ff9b:1:2:3:4:192.0.2.33", "192.0.2.33"),
            ("2002:c000:221::1", "192.0.2.33"),
            ("2001:0:1:2:3:4:3fff:fdde", "192.0.2.33"),
            ("2001:0:c000:221:3:4:5:6", "192.0.2.33"),
            ("fe80::5efe:192.0.2.33", "192.0.2.33"),
            ("2001:db8::200:5efe:192.0.2.33", "192.0.2.33"),
            // ISATAP with a 6to4 prefix: both.
            ("2002:c000:221::5efe:198.51.100.1", "192.0.2.33"),
            ("2002:c000:221::5efe:198.51.100.1", "198.51.100.1"),
            // RFC 6052 §2.4: prefixes of 48, 56 and 64 bits.
            ("64:ff9b:1:c000:2:2100::", "192.0.2.33"),
            ("64:ff9b:1:3c0:0:221::", "192.0.2.33"),
            ("64:ff9b:1:344:c0:2:2100::", "192.0.2.33"),
        ] {
            assert!(v4(address).contains(&expected.to_owned()), "{address}");
        }
    }

    #[test]
    fn other_addresses_embed_none() {
        for address in [
            "192.0.2.33",
            "::1",
            "::",
            "fe80::1",
            "2606:4700::c000:221",
            "fd00::1",
            "2606:4700::100:5efe:c000:221",
        ] {
            assert!(v4(address).is_empty(), "{address}");
        }
    }
}
