//! The configuration: defaults ← YAML file ← environment, checked before anything starts.
//!
//! One struct for each section; every field documents its default. Text with rules of its own
//! (addresses, tokens, networks) is parsed into a type while it is read, what depends on several
//! keys is checked afterwards, and all that is found is reported together as a [`ConfigError`]. The
//! parts that will be opened are asked for what they refuse, too: what passes here starts, on a machine
//! that lets it.

pub mod allowed_host;
pub mod bucket;
pub mod callback;
pub mod control;
pub mod cors;
pub mod credential;
pub mod direct;
pub mod embedded;
mod env;
pub mod error;
#[cfg(test)]
mod example;
pub mod features;
pub mod images;
pub mod limits;
mod load;
pub mod metrics;
pub mod networks;
pub mod redis;
mod schema;
mod secret;
pub mod server;
pub mod store;

use std::collections::BTreeMap;

use asset_gateway_backends::settings::{BucketSettings, Secret, TokenStoreSettings};
use serde::Deserialize;

pub use allowed_host::AllowedHost;
pub use bucket::BucketConfig;
pub use callback::{CallbackConfig, WebhookSecret};
pub use control::{ControlConfig, ControlToken, UnknownFields};
pub use cors::CorsConfig;
pub use credential::CredentialConfig;
pub use direct::DirectConfig;
pub use env::process_variables;
pub use error::ConfigError;
pub use features::check_features;
pub use images::ImagesConfig;
pub use limits::LimitsConfig;
pub use load::Source;
pub use metrics::MetricsConfig;
pub use redis::RedisConfig;
pub use server::{ListenAddress, ServerConfig};
pub use store::{SledConfig, TokenStoreConfig, TokenStoreKind};

/// The whole configuration. A module is handed its own section, never this.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    pub server: ServerConfig,
    pub metrics: MetricsConfig,
    pub token_store: TokenStoreConfig,
    pub sled: SledConfig,
    /// Default: none.
    pub redis: Option<RedisConfig>,
    pub control: ControlConfig,
    /// Keys of storage providers by the name that buckets give. Default: none.
    pub credentials: BTreeMap<String, CredentialConfig>,
    /// Buckets by the alias that clients give. Default: none.
    pub buckets: BTreeMap<String, BucketConfig>,
    pub callback: CallbackConfig,
    /// Default: none.
    pub direct: Option<DirectConfig>,
    pub cors: CorsConfig,
    pub limits: LimitsConfig,
    /// Default: none, which leaves the image plane off.
    pub images: Option<ImagesConfig>,
    /// Started without a configuration: see [`embedded`].
    #[serde(skip)]
    pub embedded: bool,
    /// The control token that embedded mode made, for [`embedded::banner`].
    #[serde(skip)]
    pub embedded_token: Option<Secret>,
}

impl Config {
    /// The store that is asked for: `token_store.kind`, else Redis where there is a `redis` section.
    pub fn token_store_kind(&self) -> TokenStoreKind {
        match (self.token_store.kind, &self.redis) {
            (Some(kind), _) => kind,
            (None, Some(_)) => TokenStoreKind::Redis,
            (None, None) => TokenStoreKind::Sled,
        }
    }

    /// What opens the token store and the callback queue.
    pub fn token_store_settings(&self) -> TokenStoreSettings {
        match self.token_store_kind() {
            TokenStoreKind::Sled => TokenStoreSettings::Sled(self.sled.settings()),
            TokenStoreKind::Redis => {
                TokenStoreSettings::Redis(self.redis.clone().unwrap_or_default().settings())
            }
        }
    }

    /// What opens each bucket, by alias, keys of its credential filled in.
    pub fn bucket_settings(&self) -> BTreeMap<String, BucketSettings> {
        let settings = |bucket: &BucketConfig| {
            let credential = self.credentials.get(&bucket.credential);
            bucket.settings(&credential.cloned().unwrap_or_default())
        };
        self.buckets
            .iter()
            .map(|(alias, bucket)| (alias.clone(), settings(bucket)))
            .collect()
    }

    /// What is allowed but hardly meant; for the log at start.
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        if self.buckets.is_empty() {
            warnings.push("`buckets` is empty: no token can be created".to_owned());
        }
        if self.cors.allows_any() {
            warnings
                .push("`cors.allowed_origins` holds `*`: any site may use the data plane".into());
        }
        warnings
    }
}
