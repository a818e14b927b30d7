//! The section `redis`: the shared token store.

use std::fmt;
use std::path::PathBuf;

use asset_gateway_backends::settings::{RedisMode, RedisSettings, Secret};
use serde::de::{self, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::error::Problems;
use super::secret_file;

/// The section `redis`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RedisConfig {
    /// `HOST:PORT`, or a list of them with `mode`. Default: `127.0.0.1:6379`.
    pub addr: Addresses,
    /// Default: `standalone`.
    pub mode: RedisMode,
    /// Name of the master that the sentinels watch. Default: none; required with `mode: sentinel`.
    pub master_name: String,
    /// User name for the sentinels. Default: none.
    pub sentinel_username: String,
    /// Default: none.
    pub sentinel_password: Secret,
    /// The file with `sentinel_password`. Default: none.
    pub sentinel_password_file: PathBuf,
    /// Default: none.
    pub username: String,
    /// Default: none.
    pub password: Secret,
    /// The file with `password`. Default: none.
    pub password_file: PathBuf,
    /// Number of the database. Default: 0, the only one of a cluster.
    pub db: u32,
    /// Default: false.
    pub tls: bool,
    /// PEM file of the certificates to trust instead of the system's. Default: none.
    pub tls_ca_file: PathBuf,
    /// PEM file of the client certificate; with `tls_key_file`. Default: none.
    pub tls_cert_file: PathBuf,
    /// PEM file of the client certificate's key. Default: none.
    pub tls_key_file: PathBuf,
    /// The contents of these files.
    #[serde(skip)]
    pub pem: Pem,
    /// Replicas that must confirm a write (`WAIT`). Default: 0.
    pub wait_replicas: u32,
}

/// The contents of the TLS files; empty without a file.
#[derive(Debug, Clone, Default)]
pub struct Pem {
    ca: Secret,
    cert: Secret,
    key: Secret,
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
            sentinel_username: self.sentinel_username.clone(),
            sentinel_password: self.sentinel_password.clone(),
            db: self.db,
            tls: self.tls,
            tls_ca: self.pem.ca.expose().to_owned(),
            tls_cert: self.pem.cert.expose().to_owned(),
            tls_key: self.pem.key.clone(),
            wait_replicas: self.wait_replicas,
        }
    }

    pub(super) fn read_secrets(&mut self, problems: &mut Problems) {
        for (secret, file, key) in [
            (&mut self.password, &self.password_file, "password"),
            (
                &mut self.sentinel_password,
                &self.sentinel_password_file,
                "sentinel_password",
            ),
        ] {
            secret_file::resolve(secret, file, &["redis", key], problems);
        }
        for (pem, file, key) in [
            (&mut self.pem.ca, &self.tls_ca_file, "tls_ca_file"),
            (&mut self.pem.cert, &self.tls_cert_file, "tls_cert_file"),
            (&mut self.pem.key, &self.tls_key_file, "tls_key_file"),
        ] {
            let key = ["redis", key];
            let Some(text) = secret_file::read_file(file, &key, problems) else {
                continue;
            };
            if text.expose().contains("-----BEGIN ") {
                *pem = text;
            } else {
                let file = file.display();
                problems.add(&key, format!("`{file}`: expected a PEM file"));
            }
        }
    }

    pub(super) fn check(&self, problems: &mut Problems) {
        let Addresses(addresses) = &self.addr;
        for address in addresses {
            // The address is logged, and a URL may contain a password.
            if address.contains(['@', '/']) {
                problems.add(
                    &["redis", "addr"],
                    "expected `HOST:PORT` alone, no URL: `username`, `password`, `db` and `tls` \
                     are keys of their own",
                );
                continue;
            }
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
        for (file, key) in [
            (&self.tls_ca_file, "tls_ca_file"),
            (&self.tls_cert_file, "tls_cert_file"),
            (&self.tls_key_file, "tls_key_file"),
        ] {
            if !self.tls && !file.as_os_str().is_empty() {
                problems.add(&["redis", key], "expected only with `tls: true`");
            }
        }
        let named = |file: &PathBuf| !file.as_os_str().is_empty();
        if named(&self.tls_cert_file) != named(&self.tls_key_file) {
            problems.add(
                &["redis", "tls_cert_file"],
                "expected together with `tls_key_file`: neither is of use alone",
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
