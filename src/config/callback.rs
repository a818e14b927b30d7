//! The section `callback`: delivery of events to receivers.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;
use std::time::Duration;

use asset_gateway_backends::settings::{QueueLimits, Secret};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use serde::Deserialize;

use super::AllowedHost;
use super::error::Problems;
use super::secret_file;

/// The section `callback`.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CallbackConfig {
    /// Signing secrets, `whsec_…`; all sign, the first one first. Default: none, unsigned.
    pub secret: Vec<WebhookSecret>,
    /// A file with signing secrets, one on each line. Default: none.
    pub secret_file: PathBuf,
    /// Time limit of one attempt. Default: 15.
    pub timeout_seconds: u64,
    /// Delays before each further attempt. Default: 5 s to 1 day in nine steps.
    pub retry_seconds: Vec<u64>,
    /// Networks that no callback may target; a list replaces the default. Default: addresses of metadata
    /// services.
    #[serde(deserialize_with = "super::networks::deserialize")]
    pub deny_networks: Vec<IpNet>,
    /// Denies private, loopback, link-local, shared (CGNAT) and unique-local addresses as well. Default:
    /// false, because back ends have such addresses.
    pub deny_private: bool,
    /// Hosts that callbacks may target. Default: any.
    pub allowed_hosts: Vec<AllowedHost>,
    /// Deliveries at the same time. Default: 32.
    pub concurrency: usize,
    /// Events that may wait; beyond it, accesses with a callback get 503. Default: 1000000.
    pub max_pending: u64,
    /// Also reports downloads that were not completed. Default: false.
    pub report_incomplete: bool,
    /// Days for which dead letters are kept; 0: for ever. Default: 30.
    pub dead_letter_days: u64,
}

/// Metadata services, from which machines in a cloud get credentials, and addresses of the machine itself.
/// Private networks are not included, because back ends have such addresses.
const METADATA_SERVICES: [IpNet; 9] = [
    v4([0, 0, 0, 0], 8),
    v4([169, 254, 0, 0], 16),
    // Alibaba Cloud.
    v4([100, 100, 100, 200], 32),
    v6(0, 128),
    v6(0xfe80 << 112, 10),
    // Amazon: metadata, time, names.
    v6(0xfd00_0ec2 << 96, 64),
    // Azure's agent.
    v4([168, 63, 129, 16], 32),
    // Oracle Cloud.
    v4([192, 0, 0, 192], 32),
    // Google Cloud.
    v6(0xfd20_00ce << 96 | 0x254, 128),
];

/// What `deny_private` denies, in addition to `deny_networks`. Connections to addresses "of this host"
/// (RFC 1122 §3.2.1.3) reach the loopback.
const PRIVATE: [IpNet; 12] = [
    // RFC 1918.
    v4([10, 0, 0, 0], 8),
    v4([172, 16, 0, 0], 12),
    v4([192, 168, 0, 0], 16),
    v4([0, 0, 0, 0], 8),
    v4([127, 0, 0, 0], 8),
    v4([169, 254, 0, 0], 16),
    // Shared by a carrier's customers (RFC 6598).
    v4([100, 64, 0, 0], 10),
    v6(0, 128),
    v6(1, 128),
    v6(0xfe80 << 112, 10),
    // Site-local, the predecessor of unique-local (RFC 3879).
    v6(0xfec0 << 112, 10),
    // Unique-local (RFC 4193).
    v6(0xfc << 120, 7),
];

const fn v4([a, b, c, d]: [u8; 4], length: u8) -> IpNet {
    IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), length))
}

const fn v6(bits: u128, length: u8) -> IpNet {
    IpNet::V6(Ipv6Net::new_assert(Ipv6Addr::from_bits(bits), length))
}

impl Default for CallbackConfig {
    fn default() -> Self {
        Self {
            secret: Vec::new(),
            secret_file: PathBuf::new(),
            timeout_seconds: 15,
            retry_seconds: vec![5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400],
            deny_networks: METADATA_SERVICES.to_vec(),
            deny_private: false,
            allowed_hosts: Vec::new(),
            concurrency: 32,
            max_pending: 1_000_000,
            report_incomplete: false,
            dead_letter_days: 30,
        }
    }
}

/// A longer delay is probably a typing error.
const MAX_RETRY_SECONDS: u64 = 30 * 86_400;

impl CallbackConfig {
    /// Time limit of one attempt.
    pub fn timeout(&self) -> Duration {
        Duration::from_secs(self.timeout_seconds)
    }

    /// Delays before the second attempt, the third, …
    pub fn retries(&self) -> Vec<Duration> {
        self.retry_seconds
            .iter()
            .copied()
            .map(Duration::from_secs)
            .collect()
    }

    /// All networks that no callback may target.
    pub fn denied_networks(&self) -> Vec<IpNet> {
        let private: &[IpNet] = if self.deny_private { &PRIVATE } else { &[] };
        [self.deny_networks.as_slice(), private].concat()
    }

    pub fn queue_limits(&self) -> QueueLimits {
        QueueLimits {
            max_pending: self.max_pending,
            report_incomplete: self.report_incomplete,
            keep_dead: Some(self.dead_letter_days)
                .filter(|days| *days > 0)
                .map(|days| Duration::from_secs(days * 86_400)),
        }
    }

    pub(super) fn read_secrets(&mut self, problems: &mut Problems) {
        let key = ["callback", "secret"];
        secret_file::read_lines(&mut self.secret, &self.secret_file, &key, problems);
    }

    pub(super) fn check(&self, problems: &mut Problems) {
        let mut add = |key, message: String| problems.add(&["callback", key], message);
        if !(1..=3600).contains(&self.timeout_seconds) {
            add("timeout_seconds", "expected 1 to 3600 seconds".into());
        }
        if self
            .retry_seconds
            .iter()
            .any(|wait| !(1..=MAX_RETRY_SECONDS).contains(wait))
        {
            add(
                "retry_seconds",
                format!("expected waits of 1 to {MAX_RETRY_SECONDS} seconds"),
            );
        }
        if self.retry_seconds.len() > 100 {
            add("retry_seconds", "expected at most 100 waits".into());
        }
        if !(1..=10_000).contains(&self.concurrency) {
            add("concurrency", "expected 1 to 10000".into());
        }
        if self.dead_letter_days > 100_000 {
            add("dead_letter_days", "expected at most 100000".into());
        }
        if self.max_pending == 0 {
            add("max_pending", "expected at least 1".into());
        }
    }
}

/// A secret of Standard Webhooks: `whsec_` and base64 of 24 to 64 bytes
/// (<https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>).
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct WebhookSecret(Secret);

impl WebhookSecret {
    /// The bytes that sign.
    pub fn key(&self) -> Vec<u8> {
        decode(self.0.expose()).unwrap_or_default()
    }
}

fn decode(text: &str) -> Option<Vec<u8>> {
    let key = STANDARD.decode(text.strip_prefix("whsec_")?).ok()?;
    (24..=64).contains(&key.len()).then_some(key)
}

impl TryFrom<String> for WebhookSecret {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match decode(&text) {
            Some(_) => Ok(Self(Secret::new(text))),
            None => Err(
                "not a webhook secret: expected `whsec_` and the base64 of 24 to 64 bytes"
                    .to_owned(),
            ),
        }
    }
}

impl fmt::Debug for WebhookSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_services_are_denied() {
        let denied = CallbackConfig::default().deny_networks;
        assert_eq!(
            denied.iter().map(ToString::to_string).collect::<Vec<_>>(),
            [
                "0.0.0.0/8",
                "169.254.0.0/16",
                "100.100.100.200/32",
                "::/128",
                "fe80::/10",
                "fd00:ec2::/64",
                "168.63.129.16/32",
                "192.0.0.192/32",
                "fd20:ce::254/128"
            ]
        );
    }

    #[test]
    fn webhook_secrets_have_24_to_64_bytes() {
        let secret = |bytes: usize| {
            WebhookSecret::try_from(format!("whsec_{}", STANDARD.encode(vec![7; bytes])))
        };
        assert_eq!(secret(24).map(|secret| secret.key().len()), Ok(24));
        assert_eq!(secret(64).map(|secret| secret.key().len()), Ok(64));
        assert!(secret(23).is_err() && secret(65).is_err());
        let error = WebhookSecret::try_from("whsec_geheim".to_owned()).expect_err("no base64");
        assert!(
            error.contains("expected `whsec_`") && !error.contains("geheim"),
            "{error}"
        );
        assert_eq!(format!("{:?}", secret(24)), "Ok([redacted])");
    }
}
