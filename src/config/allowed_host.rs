//! An entry of `callback.allowed_hosts`.

use std::net::IpAddr;

use serde::Deserialize;
use url::Host;

/// `hooks.example.com`, `*.example.com` (every subdomain, not the domain itself) or an IP address; with a
/// port, or without one for any port.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct AllowedHost {
    /// As in URLs: lower case, punycode.
    host: Host<String>,
    subdomains: bool,
    port: Option<u16>,
}

impl AllowedHost {
    pub fn admits(&self, host: &Host<&str>, port: u16) -> bool {
        let same = match (&self.host, host) {
            (Host::Domain(allowed), Host::Domain(name)) => {
                let name = name.strip_suffix('.').unwrap_or(name);
                match self.subdomains {
                    false => name == allowed,
                    true => name
                        .strip_suffix(allowed.as_str())
                        .is_some_and(|before| before.len() > 1 && before.ends_with('.')),
                }
            }
            (Host::Ipv4(allowed), Host::Ipv4(address)) => allowed == address,
            (Host::Ipv6(allowed), Host::Ipv6(address)) => allowed == address,
            (Host::Domain(_) | Host::Ipv4(_) | Host::Ipv6(_), _) => false,
        };
        same && self.port.is_none_or(|allowed| allowed == port)
    }
}

impl TryFrom<String> for AllowedHost {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        parse(&text).ok_or_else(|| {
            format!(
                "`{}`: expected a host such as `hooks.example.com`, `*.example.com` or `10.0.0.5`, with `:PORT` where only that one is meant",
                text.escape_debug()
            )
        })
    }
}

fn parse(text: &str) -> Option<AllowedHost> {
    if let Ok(IpAddr::V6(address)) = text.parse() {
        return Some(AllowedHost {
            host: Host::Ipv6(address),
            subdomains: false,
            port: None,
        });
    }
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !text.ends_with(']') => (host, Some(port.parse().ok()?)),
        Some(_) | None => (text, None),
    };
    let (host, subdomains) = match host.strip_prefix("*.") {
        Some(domain) => (domain, true),
        None => (host, false),
    };
    let host = match Host::parse(host).ok()? {
        Host::Domain(domain) => {
            let domain = domain.strip_suffix('.').unwrap_or(&domain);
            if domain.is_empty() || domain.contains('*') {
                return None;
            }
            Host::Domain(domain.to_owned())
        }
        Host::Ipv4(_) | Host::Ipv6(_) if subdomains => return None,
        address @ (Host::Ipv4(_) | Host::Ipv6(_)) => address,
    };
    Some(AllowedHost {
        host,
        subdomains,
        port,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_normalised_as_in_urls() {
        let parsed = |text: &str| parse(text).map(|entry| (entry.host.to_string(), entry.port));
        for (text, host, port) in [
            ("Hooks.Example.COM", "hooks.example.com", None),
            ("hooks.example.com.:443", "hooks.example.com", Some(443)),
            ("bücher.example", "xn--bcher-kva.example", None),
            ("*.example.com:80", "example.com", Some(80)),
            ("0x7f.1", "127.0.0.1", None),
            ("::1", "[::1]", None),
            ("[::1]", "[::1]", None),
            ("[::1]:8080", "[::1]", Some(8080)),
        ] {
            assert_eq!(parsed(text), Some((host.to_owned(), port)), "{text}");
        }
        for text in [
            "",
            ".",
            "*",
            "*.",
            "a:b",
            "a:99999",
            "a.*.b",
            "http://a",
            "a/b",
            "u@a",
            "*.10.0.0.1",
            "*.[::1]",
            "a b",
            "[::1",
        ] {
            assert_eq!(parsed(text), None, "{text}");
        }
    }
}
