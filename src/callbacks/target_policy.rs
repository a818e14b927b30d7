//! The target policy: which hosts and addresses callbacks may reach.
//!
//! A URL is checked when a token is made and before each attempt. The addresses of a name are checked in the
//! HTTP client's own resolver, so that no other address can be connected to than the one checked.

mod embedded_ipv4;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use ipnet::IpNet;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tokio::sync::Semaphore;
use url::{Host, Url};

use crate::config::AllowedHost;

/// Why a callback URL is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TargetDenied {
    #[error("the host `{0}` is not one of `callback.allowed_hosts`")]
    Host(String),
    #[error("{0} is an address that `callback.deny_networks` or `callback.deny_private` denies")]
    Address(IpAddr),
    /// Not for clients: the addresses of a name are checked before each attempt.
    #[error("the name has only denied addresses")]
    Name,
}

/// `callback.deny_networks`, `callback.deny_private` and `callback.allowed_hosts`.
#[derive(Debug, Default)]
pub struct TargetPolicy {
    denied: Vec<IpNet>,
    /// Empty: any host.
    allowed: Vec<AllowedHost>,
}

impl TargetPolicy {
    pub fn new(denied: Vec<IpNet>, allowed: Vec<AllowedHost>) -> Self {
        Self { denied, allowed }
    }

    /// Checks host, port and literal addresses, without resolving names. [`Url`] has already turned decimal,
    /// octal and hexadecimal forms into addresses.
    pub fn check(&self, url: &Url) -> Result<(), TargetDenied> {
        let (Some(host), Some(port)) = (url.host(), url.port_or_known_default()) else {
            return Err(TargetDenied::Host(String::new()));
        };
        let is_allowed = |allowed: &AllowedHost| allowed.admits(&host, port);
        if !self.allowed.is_empty() && !self.allowed.iter().any(is_allowed) {
            return Err(TargetDenied::Host(host.to_string()));
        }
        // Literal addresses never reach the resolver.
        match host {
            Host::Domain(_) => Ok(()),
            Host::Ipv4(address) => self.check_address(address.into()),
            Host::Ipv6(address) => self.check_address(address.into()),
        }
    }

    fn check_address(&self, address: IpAddr) -> Result<(), TargetDenied> {
        let denied = embedded_ipv4::with_embedded_ipv4(address)
            .iter()
            .any(|address| self.denied.iter().any(|network| network.contains(address)));
        match denied {
            true => Err(TargetDenied::Address(address)),
            false => Ok(()),
        }
    }
}

/// Lookups that run at once. Each holds a thread until the system's resolver answers, even after its caller
/// is gone, and file operations need threads, too.
static LOOKUPS: Semaphore = Semaphore::const_new(64);

async fn look_up(name: String) -> io::Result<Vec<SocketAddr>> {
    let permit = LOOKUPS.acquire().await.map_err(io::Error::other)?;
    let found = tokio::spawn(async move {
        let found = tokio::net::lookup_host((name, 0)).await;
        drop(permit);
        found.map(Iterator::collect)
    });
    found.await.map_err(io::Error::other)?
}

/// The system's resolver, which leaves out denied addresses.
pub(super) struct CheckedResolver(pub(super) Arc<TargetPolicy>);

impl Resolve for CheckedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let targets = Arc::clone(&self.0);
        Box::pin(async move {
            let found = look_up(name.as_str().to_owned()).await?;
            let some = !found.is_empty();
            let allowed = found
                .into_iter()
                .filter(|address| targets.check_address(address.ip()).is_ok());
            let allowed: Vec<SocketAddr> = allowed.collect();
            if some && allowed.is_empty() {
                return Err(TargetDenied::Name.into());
            }
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::CallbackConfig;

    fn targets(denied: &[&str], allowed: &[&str]) -> TargetPolicy {
        let denied = denied.iter().map(|text| text.parse().unwrap());
        let allowed = allowed.iter().map(|text| {
            AllowedHost::try_from((*text).to_owned()).unwrap_or_else(|error| panic!("{error}"))
        });
        TargetPolicy::new(denied.collect(), allowed.collect())
    }

    fn check(targets: &TargetPolicy, url: &str) -> Result<(), TargetDenied> {
        targets.check(&Url::parse(url).unwrap())
    }

    /// Ways to write 169.254.169.254.
    const METADATA: [&str; 21] = [
        "http://169.254.169.254/",
        "http://169.254.169.254./",
        "http://user:secret@169.254.169.254:8080/x",
        "http://2852039166/",
        "http://0xa9fea9fe/",
        "http://0xa9.0xfea9fe/",
        "http://0xA9.0xFE.0xA9.0xFE/",
        "http://0251.0376.0251.0376/",
        "http://0000251.254.0xa9fe/",
        "http://169.16689662/",
        "http://%31%36%39.254.169.254/",
        "http://１６９.254.169。254/",
        "http://[::ffff:169.254.169.254]/",
        "http://[0:0:0:0:0:ffff:a9fe:a9fe]/",
        "http://[::169.254.169.254]/",
        "http://[::ffff:0:169.254.169.254]/",
        "http://[64:ff9b::a9fe:a9fe]/",
        "http://[64:ff9b:1::169.254.169.254]/",
        "https://[2002:a9fe:a9fe::1]/",
        "http://[2001:db8::5efe:169.254.169.254]/",
        "http://[2001:db8::200:5efe:a9fe:a9fe]/",
    ];

    #[test]
    fn every_form_of_a_denied_address_is_refused() {
        let denied = CallbackConfig::default().deny_networks;
        let default = TargetPolicy::new(denied, Vec::new());
        let one = targets(&["169.254.169.254/32"], &[]);
        for url in METADATA {
            for targets in [&default, &one] {
                let checked = check(targets, url);
                assert!(matches!(checked, Err(TargetDenied::Address(_))), "{url}");
            }
        }
        // Not URLs: a token with one is refused.
        for url in ["http://0xa9fe.0xa9fe/", "http://169.254.43518.0/"] {
            assert!(Url::parse(url).is_err(), "{url}");
        }
        for url in [
            "http://0/",
            "http://0.0.0.0/",
            "http://[::]/",
            "http://[::ffff:0.0.0.0]/",
            "http://100.100.100.200/",
            "http://[fe80::1]/",
            "http://[fd00:ec2::254]/latest/meta-data",
            "http://[fd00:ec2::23]/v1/credentials",
            "http://[fd20:ce::254]/computeMetadata/v1",
            "http://168.63.129.16/machine",
            "http://2822734096/",
            "http://[::ffff:168.63.129.16]/",
            "http://[::168.63.129.16]/",
            "http://[64:ff9b::168.63.129.16]/",
            "http://[2002:a83f:8110::1]/",
            // Teredo: a client's address, and a server's.
            "http://[2001:0:5ef5:79fb:0:0:57c0:7eef]/",
            "http://[2001:0:a83f:8110::]/",
            "http://192.0.0.192/opc/v2",
            "http://[2002:c000:c0::]/",
            "http://[::ffff:192.0.0.192]/",
            "http://[64:ff9b:1::192.0.0.192]/",
        ] {
            assert!(check(&default, url).is_err(), "{url}");
        }
        for url in [
            "http://127.0.0.1/",
            "http://2130706433/",
            "http://10.1.2.3/",
            "http://[::1]/",
            "http://[::ffff:10.1.2.3]/",
            "http://[64:ff9b::10.1.2.3]/",
            "http://[fd00::1]/",
            "http://[2606:4700::1111]/",
            "http://169.254.169.254.example.com/",
        ] {
            assert_eq!(check(&default, url), Ok(()), "{url}");
        }
    }

    #[test]
    fn deny_private_refuses_private_networks() {
        let closed = CallbackConfig {
            deny_networks: Vec::new(),
            deny_private: true,
            ..CallbackConfig::default()
        };
        let closed = TargetPolicy::new(closed.denied_networks(), Vec::new());
        for url in [
            "http://10.1.2.3/",
            "http://172.16.0.1/",
            "http://172.31.255.255/",
            "http://192.168.1.1/",
            "http://127.0.0.1/",
            "http://2130706433/",
            "http://0/",
            "http://169.254.1.1/",
            "http://100.64.0.1/",
            "http://100.127.255.255/",
            "http://[::]/",
            "http://[::1]/",
            "http://[fe80::1]/",
            "http://[fec0::1]/",
            "http://[fc00::1]/",
            "http://[fdff::1]/",
            "http://[::ffff:10.1.2.3]/",
            "http://[::10.1.2.3]/",
            "http://[::ffff:0:127.0.0.1]/",
            "http://[64:ff9b::192.168.1.1]/",
            "http://[64:ff9b:1::10.1.2.3]/",
            "http://[2002:a01:203::1]/",
            "http://[2001:0:5ef5:79fb:0:0:f5fe:fdfc]/",
            "http://[2001:db8::5efe:10.1.2.3]/",
        ] {
            assert!(check(&closed, url).is_err(), "{url}");
        }
        for url in [
            "http://9.255.255.255/",
            "http://11.0.0.1/",
            "http://172.15.0.1/",
            "http://172.32.0.1/",
            "http://100.63.255.255/",
            "http://100.128.0.1/",
            "http://192.167.1.1/",
            "http://[2606:4700::1111]/",
            "http://[fe00::1]/",
            "https://hooks.example.com/",
        ] {
            assert_eq!(check(&closed, url), Ok(()), "{url}");
        }
    }

    #[test]
    fn hosts_that_are_not_allowed_are_refused() {
        let named = targets(
            &["10.0.0.0/8"],
            &[
                "hooks.example.com",
                "*.apps.example",
                "b.example:8443",
                "10.0.0.1",
                "[::1]:99",
            ],
        );
        for url in [
            "https://hooks.example.com/x?y",
            "http://HOOKS.example.com:8080/",
            "http://hooks.example.com./",
            "https://a.apps.example/",
            "https://a.b.apps.example/",
            "https://b.example:8443/",
            "http://[0:0::1]:99/",
        ] {
            assert_eq!(check(&named, url), Ok(()), "{url}");
        }
        for url in [
            "https://example.com/",
            "https://evil-hooks.example.com/",
            "https://hooks.example.com.evil.test/",
            "https://hooks.example.com@evil.test/",
            "https://apps.example/",
            "https://evilapps.example/",
            "https://b.example/",
            "http://[::1]/",
            "http://127.0.0.1/",
        ] {
            let checked = check(&named, url);
            assert!(matches!(checked, Err(TargetDenied::Host(_))), "{url}");
        }
        // An allowed host may still have a denied address.
        let checked = check(&named, "http://10.0.0.1/");
        assert!(matches!(checked, Err(TargetDenied::Address(_))));
    }

    #[tokio::test]
    async fn the_resolver_leaves_out_denied_addresses() {
        let resolve = async |denied: &[&str]| {
            let names = CheckedResolver(Arc::new(targets(denied, &[])));
            let found = names.resolve("localhost".parse().unwrap()).await;
            found.map(|found| found.map(|address| address.ip()).collect::<Vec<_>>())
        };
        let all = resolve(&[]).await.unwrap();
        assert!(!all.is_empty());
        assert!(all.iter().all(IpAddr::is_loopback));
        let four = resolve(&["::1/128"]).await.unwrap();
        assert!(!four.is_empty() && four.iter().all(IpAddr::is_ipv4));
        let error = resolve(&["127.0.0.0/8", "::1/128"]).await.unwrap_err();
        assert_eq!(
            error.downcast_ref::<TargetDenied>(),
            Some(&TargetDenied::Name)
        );
    }
}
