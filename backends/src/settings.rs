//! What an adapter needs to be opened. Every backend is listed, compiled in or not: `open` refuses
//! what is missing by its feature's name.

mod credential;

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

pub use credential::{CredentialSettings, Keys};

/// A value that cannot be printed.
#[derive(Clone, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// The value itself; the call stands where it is used, never in a log.
    pub fn expose(&self) -> &str {
        &self.0
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// Which token store to open.
#[derive(Debug, Clone)]
#[expect(clippy::large_enum_variant, reason = "there is one, at the start")]
pub enum TokenStoreSettings {
    Memory,
    Sled(SledSettings),
    Redis(RedisSettings),
}

#[derive(Debug, Clone)]
pub struct SledSettings {
    /// Folder of the database; made where it is missing. One process at a time.
    pub path: PathBuf,
}

/// How to reach Redis.
#[derive(Debug, Clone, Default)]
pub struct RedisSettings {
    /// `HOST:PORT`; one with `Standalone`.
    pub addresses: Vec<String>,
    pub mode: RedisMode,
    /// Name of the master that sentinels watch.
    pub master_name: String,
    /// Empty: none.
    pub username: String,
    pub password: Secret,
    /// At sentinels. Empty: none.
    pub sentinel_username: String,
    pub sentinel_password: Secret,
    pub db: u32,
    pub tls: bool,
    /// Certificates, PEM, that are trusted in place of the system's. Empty: the system's.
    pub tls_ca: String,
    /// The client's own certificate, PEM, with its key. Empty: none.
    pub tls_cert: String,
    pub tls_key: Secret,
    /// Replicas that must have a write before it counts as done.
    pub wait_replicas: u32,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RedisMode {
    #[default]
    Standalone,
    Cluster,
    Sentinel,
}

/// Limits of the callback queue that lives beside the tokens.
#[derive(Debug, Clone, Copy)]
pub struct QueueLimits {
    /// Events that may wait; past it an access with a callback is refused.
    pub max_pending: u64,
    /// Queue downloads that were not completed, too.
    pub report_incomplete: bool,
    /// How long a dead letter is kept after its last try; `None`: for ever.
    pub keep_dead: Option<Duration>,
}

impl QueueLimits {
    /// Dead letters that are kept; past it the oldest are dropped.
    pub fn max_dead(&self) -> u64 {
        self.max_pending
    }
}

impl Default for QueueLimits {
    fn default() -> Self {
        Self {
            max_pending: 1_000_000,
            report_incomplete: false,
            keep_dead: None,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Provider {
    S3,
    Cos,
    Ctyun,
    Oss,
    Fs,
    Memory,
}

/// Which adapter talks to a bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Adapter {
    Opendal,
    Aws,
}

#[derive(Debug, Clone)]
pub struct BucketSettings {
    pub provider: Provider,
    /// `None`: the one that is compiled in; with both, `Aws` for S3 and ctyun, else `Opendal`.
    pub adapter: Option<Adapter>,
    /// The bucket's name at the provider; empty for `Fs` and `Memory`.
    pub bucket: String,
    pub region: String,
    /// `scheme://host[:port]`; empty: the provider's own for the region, where it has one.
    pub endpoint: String,
    pub force_path_style: bool,
    /// Folder of an `Fs` bucket.
    pub root: Option<PathBuf>,
    pub credential: CredentialSettings,
}

/// A bucket named `b`, with keys.
#[cfg(test)]
pub fn a_bucket(provider: Provider, region: &str, endpoint: &str) -> BucketSettings {
    BucketSettings {
        provider,
        adapter: None,
        bucket: "b".into(),
        region: region.into(),
        endpoint: endpoint.into(),
        force_path_style: false,
        root: None,
        credential: CredentialSettings::Keys(Keys {
            access_key: Secret::new("the-access-key"),
            secret_key: Secret::new("the-secret-key"),
            session_token: Secret::default(),
        }),
    }
}
