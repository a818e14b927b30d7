//! The section `server`: listen address, public base URL, trusted proxies.

use std::fmt;
use std::str::FromStr;

use ipnet::IpNet;
use serde::Deserialize;
use url::Url;

use super::error::Problems;

/// The section `server`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ServerConfig {
    /// Where the data and control planes listen. Default: `:8080`.
    pub listen: ListenAddress,
    /// The public base of the URLs that the gateway hands out. Default: derived from `listen`.
    pub host: PublicHost,
    /// Networks of proxies whose `X-Forwarded-For` or `Forwarded` is trusted. Default: none.
    #[serde(deserialize_with = "super::networks::deserialize")]
    pub trusted_proxies: Vec<IpNet>,
    /// Connections of trusted proxies begin with a PROXY protocol header, version 1 or 2. Default: false.
    pub proxy_protocol: bool,
}

impl ServerConfig {
    pub(super) fn check(&self, problems: &mut Problems) {
        if self.proxy_protocol && self.trusted_proxies.is_empty() {
            problems.add(
                &["server", "proxy_protocol"],
                "nobody's header would be read: list the proxies in `server.trusted_proxies`",
            );
        }
    }

    /// The base of the URLs that the gateway hands out, without a trailing slash. `port`: the actual port,
    /// which differs from a configured 0.
    pub fn base_url(&self, port: u16) -> String {
        match &self.host.0 {
            Some(host) => host.clone(),
            None => self.listen.local_url(port),
        }
    }
}

/// `:PORT` (every interface, both families), `HOST:PORT` or `[IPV6]:PORT`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum ListenAddress {
    Every {
        port: u16,
    },
    /// `host` is a name or an address, the latter without brackets.
    Host {
        host: String,
        port: u16,
    },
}

impl ListenAddress {
    pub fn port(&self) -> u16 {
        match self {
            Self::Every { port } | Self::Host { port, .. } => *port,
        }
    }

    /// Whether two listeners conflict. Port 0 never does: it takes a free port.
    pub(super) fn overlaps(&self, other: &Self) -> bool {
        let everywhere = |address: &Self| match address {
            Self::Every { .. } => true,
            Self::Host { host, .. } => matches!(host.as_str(), "0.0.0.0" | "::"),
        };
        let same_port = self.port() == other.port() && self.port() != 0;
        same_port && (everywhere(self) || everywhere(other) || self == other)
    }

    /// A URL that reaches this listener from the same machine.
    pub fn local_url(&self, port: u16) -> String {
        match self {
            Self::Every { .. } => format!("http://localhost:{port}"),
            Self::Host { host, .. } => match host.as_str() {
                "0.0.0.0" => format!("http://127.0.0.1:{port}"),
                "::" => format!("http://localhost:{port}"),
                v6 if v6.contains(':') => format!("http://[{v6}]:{port}"),
                host => format!("http://{host}:{port}"),
            },
        }
    }
}

impl Default for ListenAddress {
    fn default() -> Self {
        Self::Every { port: 8080 }
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Every { port } => write!(f, ":{port}"),
            Self::Host { host, port } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Host { host, port } => write!(f, "{host}:{port}"),
        }
    }
}

impl FromStr for ListenAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}`: expected `:PORT`, `HOST:PORT` or `[IPV6]:PORT`");
        let (host, port) = text.rsplit_once(':').ok_or_else(wrong)?;
        // `u16::from_str` allows a leading `+`.
        if !port.bytes().all(|b| b.is_ascii_digit()) {
            return Err(wrong());
        }
        let port = port.parse().map_err(|_| wrong())?;
        if host.is_empty() {
            return Ok(Self::Every { port });
        }
        let host = match host.strip_prefix('[') {
            Some(rest) => {
                let inner = rest.strip_suffix(']').ok_or_else(wrong)?;
                inner.parse::<std::net::Ipv6Addr>().map_err(|_| wrong())?;
                inner
            }
            None => {
                url::Host::parse(host).map_err(|_| wrong())?;
                host
            }
        };
        Ok(Self::Host {
            host: host.to_owned(),
            port,
        })
    }
}

impl TryFrom<String> for ListenAddress {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

/// An absolute `http` or `https` URL without a query and a trailing slash, or nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct PublicHost(Option<String>);

impl TryFrom<String> for PublicHost {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if text.is_empty() {
            return Ok(Self(None));
        }
        http_url(&text)?;
        Ok(Self(Some(text.trim_end_matches('/').to_owned())))
    }
}

/// Parses an absolute `http` or `https` URL without user, query and fragment. The message does not repeat
/// the text, which may contain a password.
pub(super) fn http_url(text: &str) -> Result<Url, String> {
    let wrong = |why: &str| {
        format!(
            "{why}: expected an absolute http or https URL without user, query or fragment, such as `https://gateway.example.com`"
        )
    };
    let url = Url::parse(text).map_err(|error| wrong(&error.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err(wrong("not an http URL"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(wrong("the URL names a user"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(wrong("the URL has a query or a fragment"));
    }
    if text.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err(wrong("the URL has blanks in it"));
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listen_addresses_are_parsed_and_printed() {
        for text in [
            ":8080",
            "127.0.0.1:80",
            "[::]:80",
            "[::1]:0",
            "gateway.internal:8080",
        ] {
            let address: ListenAddress = text.parse().expect(text);
            assert_eq!(address.to_string(), text);
        }
        for text in [
            "8080",
            "",
            ":",
            ":http",
            ":+80",
            ":70000",
            "::1:80",
            "[::1:80",
            "[localhost]:1",
            "a b:1",
            "http://x:80",
        ] {
            let error = text.parse::<ListenAddress>().expect_err(text);
            assert!(
                error.contains("expected `:PORT`, `HOST:PORT` or `[IPV6]:PORT`"),
                "{error}"
            );
        }
    }

    #[test]
    fn the_base_url_is_host_or_derived_from_listen() {
        let base = |listen: &str, host: &str| {
            let server = ServerConfig {
                listen: listen.parse().expect("listen"),
                host: PublicHost::try_from(host.to_owned()).expect("host"),
                ..ServerConfig::default()
            };
            server.base_url(server.listen.port())
        };
        assert_eq!(
            base(":8080", "https://g.example.com/"),
            "https://g.example.com"
        );
        assert_eq!(
            base(":8080", "https://g.example.com/files/"),
            "https://g.example.com/files"
        );
        assert_eq!(base(":8080", ""), "http://localhost:8080");
        assert_eq!(base("127.0.0.1:8080", ""), "http://127.0.0.1:8080");
        assert_eq!(base("0.0.0.0:81", ""), "http://127.0.0.1:81");
        assert_eq!(base("[::1]:81", ""), "http://[::1]:81");
        assert_eq!(
            ServerConfig::default().base_url(41234),
            "http://localhost:41234"
        );
    }

    #[test]
    fn a_host_that_is_not_a_base_url_is_refused() {
        for text in [
            "gateway.example.com",
            "ftp://x",
            "https://x/?a=1",
            "https://x/#a",
            "https://u:geheim@x",
        ] {
            let error = PublicHost::try_from(text.to_owned()).expect_err(text);
            assert!(
                error.contains("expected an absolute http or https URL"),
                "{error}"
            );
            assert!(!error.contains("geheim"));
        }
    }
}
