//! Lists of networks. A single address stands for the network that holds it alone.

use std::net::IpAddr;

use ipnet::IpNet;
use serde::de::Error;
use serde::{Deserialize, Deserializer};

pub(super) fn parse(text: &str) -> Result<IpNet, String> {
    text.parse::<IpNet>()
        .or_else(|_| text.parse::<IpAddr>().map(IpNet::from))
        .map_err(|_| format!("`{text}`: expected a network such as `10.0.0.0/8`, or an IP address"))
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
        let error = parse("10.0.0.0/33").expect_err("too long a prefix");
        assert!(
            error.contains("`10.0.0.0/33`: expected a network"),
            "{error}"
        );
    }
}
