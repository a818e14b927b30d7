//! The configuration: defaults, overridden by a YAML file, overridden by the environment.
//!
//! There is one struct for each section; every field documents its default. Text with a format
//! (addresses, tokens, networks) is parsed into a type while it is read. Rules between keys are checked
//! afterwards, then the checks of the stores and adapters. All problems are reported together as a
//! [`ConfigError`], so that a valid configuration starts unless the machine prevents it.

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
mod secret_file;
pub mod server;
pub mod token_store;

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
pub use load::ConfigSource;
pub use metrics::MetricsConfig;
pub use redis::RedisConfig;
pub use server::{ListenAddress, ServerConfig};
pub use token_store::{SledConfig, TokenStoreConfig, TokenStoreKind};

/// The whole configuration. Each module gets its own section, never this struct.
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
    /// Keys of storage providers, by the name that buckets refer to. Default: none.
    pub credentials: BTreeMap<String, CredentialConfig>,
    /// Buckets by the alias that clients give. Default: none.
    pub buckets: BTreeMap<String, BucketConfig>,
    pub callback: CallbackConfig,
    /// Default: none.
    pub direct: Option<DirectConfig>,
    pub cors: CorsConfig,
    pub limits: LimitsConfig,
    /// Default: none, the image plane is off.
    pub images: Option<ImagesConfig>,
    /// The gateway runs without a configuration, see [`embedded`].
    #[serde(skip)]
    pub embedded: bool,
    /// The control token that embedded mode has generated, for [`embedded::banner`].
    #[serde(skip)]
    pub embedded_token: Option<Secret>,
}

impl Config {
    /// `token_store.kind`, else Redis if there is a `redis` section, else sled.
    pub fn token_store_kind(&self) -> TokenStoreKind {
        match (self.token_store.kind, &self.redis) {
            (Some(kind), _) => kind,
            (None, Some(_)) => TokenStoreKind::Redis,
            (None, None) => TokenStoreKind::Sled,
        }
    }

    /// Settings that open the token store and the callback queue.
    pub fn token_store_settings(&self) -> TokenStoreSettings {
        match self.token_store_kind() {
            TokenStoreKind::Sled => TokenStoreSettings::Sled(self.sled.settings()),
            TokenStoreKind::Redis => {
                TokenStoreSettings::Redis(self.redis.clone().unwrap_or_default().settings())
            }
        }
    }

    /// Settings that open each bucket, by alias, with the keys of its credential.
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

    /// Valid settings that are probably mistakes; logged at start.
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
