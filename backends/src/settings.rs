//! Settings to open stores and buckets with.
//!
//! All adapters are listed in every build; [`open`](crate::open) refuses one that is not compiled in,
//! and names its feature.

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
    /// Wraps a value.
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// The value, for use; never for a log.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether the value is empty.
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
#[expect(clippy::large_enum_variant, reason = "one value, at start")]
pub enum TokenStoreSettings {
    /// In memory, for tests.
    Memory,
    /// Embedded, on disk.
    Sled(SledSettings),
    /// Shared by several nodes.
    Redis(RedisSettings),
}

/// Where the embedded store is.
#[derive(Debug, Clone)]
pub struct SledSettings {
    /// Folder of the database, created if missing. One process at a time may open it.
    pub path: PathBuf,
}

/// How to reach Redis.
#[derive(Debug, Clone, Default)]
pub struct RedisSettings {
    /// `HOST:PORT` each; exactly one for [`RedisMode::Standalone`].
    pub addresses: Vec<String>,
    /// Kind of deployment.
    pub mode: RedisMode,
    /// Name of the master that the sentinels monitor.
    pub master_name: String,
    /// ACL user; empty: none.
    pub username: String,
    /// Password; empty: none.
    pub password: Secret,
    /// ACL user at the sentinels; empty: none.
    pub sentinel_username: String,
    /// Password at the sentinels; empty: none.
    pub sentinel_password: Secret,
    /// Number of the database.
    pub db: u32,
    /// Whether to connect by TLS.
    pub tls: bool,
    /// Trusted certificates, PEM; empty: the system's.
    pub tls_ca: String,
    /// Client certificate, PEM; empty: none.
    pub tls_cert: String,
    /// Key of the client certificate, PEM.
    pub tls_key: Secret,
    /// Replicas that must acknowledge a write (`WAIT`) before it is answered.
    pub wait_replicas: u32,
}

/// Kind of a Redis deployment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RedisMode {
    /// One server.
    #[default]
    Standalone,
    /// Redis Cluster.
    Cluster,
    /// A master that sentinels monitor.
    Sentinel,
}

/// Limits of the callback queue.
#[derive(Debug, Clone, Copy)]
pub struct QueueLimits {
    /// Limit of pending events; a full queue refuses accesses with a callback.
    pub max_pending: u64,
    /// Whether incomplete downloads are reported, too.
    pub report_incomplete: bool,
    /// How long a dead letter is kept after its last attempt; `None`: for ever.
    pub keep_dead: Option<Duration>,
}

impl QueueLimits {
    /// Limit of dead letters; the oldest are dropped.
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

/// Where a bucket is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Provider {
    /// Amazon S3, and storage that speaks its protocol.
    S3,
    /// Tencent Cloud COS.
    Cos,
    /// China Telecom Cloud ZOS.
    Ctyun,
    /// Alibaba Cloud OSS.
    Oss,
    /// A folder of this machine.
    Fs,
    /// Memory of this process.
    Memory,
}

/// Client library for a remote bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Adapter {
    /// Apache OpenDAL.
    Opendal,
    /// The AWS SDK.
    Aws,
}

/// How to reach a bucket.
#[derive(Debug, Clone)]
pub struct BucketSettings {
    /// Where the bucket is.
    pub provider: Provider,
    /// Adapter; `None`: the one that is compiled in, of both `Aws` for S3 and ctyun, else `Opendal`.
    pub adapter: Option<Adapter>,
    /// Name of the bucket at the provider; empty for `Fs` and `Memory`.
    pub bucket: String,
    /// Region, or empty.
    pub region: String,
    /// `scheme://host[:port]`; empty: the provider's endpoint of the region.
    pub endpoint: String,
    /// Whether the bucket is named in the path, not in the host.
    pub force_path_style: bool,
    /// Folder of an `Fs` bucket.
    pub root: Option<PathBuf>,
    /// Where the keys come from.
    pub credential: CredentialSettings,
}

/// Settings of a bucket named `b`, with keys.
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
