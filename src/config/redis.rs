//! `redis`: the shared token store.

use std::fmt;
use std::path::PathBuf;

use asset_gateway_backends::settings::{RedisMode, RedisSettings, Secret};
use serde::de::{self, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::error::Problems;
use super::secret;

/// The section `redis`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RedisConfig {
    /// `HOST:PORT`, or a list of them with `mode`. Default: `127.0.0.1:6379`.
    pub addr: Addresses,
    /// Default: `standalone`.
    pub mode: RedisMode,
    /// Name of the master that the sentinels watch. Default: none; needed with `mode: sentinel`.
    pub master_name: String,
    /// Default: none.
    pub username: String,
    /// Default: none.
    pub password: Secret,
    /// The file that holds `password`. Default: none.
    pub password_file: PathBuf,
    /// Number of the database. Default: 0; a cluster has no other.
    pub db: u32,
    /// Default: false.
    pub tls: bool,
    /// Replicas that `WAIT` asks for before a write counts as done. Default: 0.
    pub wait_replicas: u32,
}

impl RedisConfig {
    pub(super) fn settings(&self) -> RedisSettings {
        let Addresses(addresses) = &self.addr;
        RedisSettings {
            addresses: addresses.clone(),
            mode: self.mode,
            master_name: self.master_name.clone(),
            username: self.username.clone(),
            password: self.password.clone(),
            db: self.db,
            tls: self.tls,
            wait_replicas: self.wait_replicas,
        }
    }

    pub(super) fn read_secrets(&mut self, problems: &mut Problems) {
        let key = ["redis", "password"];
        secret::resolve(&mut self.password, &self.password_file, &key, problems);
    }

    pub(super) fn check(&self, problems: &mut Problems) {
        let Addresses(addresses) = &self.addr;
        for address in addresses {
            let valid = address.rsplit_once(':').is_some_and(|(host, port)| {
                !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port > 0)
            });
            if !valid {
                problems.add(
                    &["redis", "addr"],
                    format!("`{address}`: expected `HOST:PORT`"),
                );
            }
        }
        match self.mode {
            RedisMode::Standalone if addresses.len() != 1 => problems.add(
                &["redis", "addr"],
                "expected one address with `mode: standalone`",
            ),
            RedisMode::Cluster | RedisMode::Sentinel if addresses.is_empty() => {
                problems.add(&["redis", "addr"], "expected at least one address");
            }
            RedisMode::Standalone | RedisMode::Cluster | RedisMode::Sentinel => {}
        }
        if self.mode == RedisMode::Sentinel && self.master_name.is_empty() {
            problems.add(
                &["redis", "master_name"],
                "missing: expected the name of the master with `mode: sentinel`",
            );
        }
        if self.mode == RedisMode::Cluster && self.db != 0 {
            problems.add(&["redis", "db"], "expected 0 with `mode: cluster`");
        }
    }
}

/// One address or a list of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Addresses(pub Vec<String>);

impl Default for Addresses {
    fn default() -> Self {
        Self(vec!["127.0.0.1:6379".to_owned()])
    }
}

impl<'de> Deserialize<'de> for Addresses {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        struct OneOrMany;

        impl<'de> Visitor<'de> for OneOrMany {
            type Value = Addresses;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("`HOST:PORT` or a list of them")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Addresses, E> {
                Ok(Addresses(vec![text.to_owned()]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Addresses, A::Error> {
                let mut addresses = Vec::new();
                while let Some(address) = list.next_element()? {
                    addresses.push(address);
                }
                Ok(Addresses(addresses))
            }
        }

        input.deserialize_any(OneOrMany)
    }
}
