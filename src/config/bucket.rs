//! The section `buckets`: storage buckets by alias.

use std::collections::BTreeMap;
use std::path::PathBuf;

use asset_gateway_backends::settings::{Adapter, BucketSettings, Provider};
use serde::Deserialize;

use super::CredentialConfig;
use super::error::Problems;
use super::features::{Component, Feature};
use super::server::http_url;

/// One entry of `buckets`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BucketConfig {
    /// Default: `s3`.
    pub provider: ProviderName,
    /// The adapter. Default: the compiled one; with both, `aws` for `s3` and `ctyun`, else `opendal`.
    pub backend: Option<BackendName>,
    /// The bucket's name at the provider. Required, except for `fs` and `memory`.
    pub bucket: String,
    /// Default: the region that `endpoint` names; required without one, and for OSS signatures.
    pub region: String,
    /// `scheme://host[:port]`. Default: the provider's endpoint for the region.
    pub endpoint: String,
    /// The endpoint in URLs for browsers; used for signing only. Default: `endpoint`.
    pub public_endpoint: String,
    /// An entry of `credentials`. Required, except for `fs` and `memory`.
    pub credential: String,
    /// `endpoint/bucket/key` instead of `bucket.endpoint/key`; not for `cos` and `oss`. Default: false.
    pub force_path_style: bool,
    /// How POST policies are signed. Default: `v4`.
    pub post_signature: Option<PostSignature>,
    /// Folder of an `fs` bucket, created if missing. Required there.
    pub root: PathBuf,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProviderName {
    #[default]
    S3,
    Cos,
    Ctyun,
    Oss,
    Fs,
    Memory,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BackendName {
    Opendal,
    Aws,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PostSignature {
    V4,
    V2,
    Cos,
}

impl ProviderName {
    fn provider(self) -> Provider {
        match self {
            Self::S3 => Provider::S3,
            Self::Cos => Provider::Cos,
            Self::Ctyun => Provider::Ctyun,
            Self::Oss => Provider::Oss,
            Self::Fs => Provider::Fs,
            Self::Memory => Provider::Memory,
        }
    }

    /// Whether the provider is reached over the network, with keys.
    fn is_remote(self) -> bool {
        match self {
            Self::S3 | Self::Cos | Self::Ctyun | Self::Oss => true,
            Self::Fs | Self::Memory => false,
        }
    }

    fn has_aws_adapter(self) -> bool {
        match self {
            Self::S3 | Self::Ctyun | Self::Cos => true,
            Self::Oss | Self::Fs | Self::Memory => false,
        }
    }

    /// Whether `aws` is the default when both adapters are compiled.
    fn prefers_aws(self) -> bool {
        match self {
            Self::S3 | Self::Ctyun => true,
            Self::Cos | Self::Oss | Self::Fs | Self::Memory => false,
        }
    }
}

impl BucketConfig {
    /// `backend`, or the default where it is left out.
    pub fn adapter(&self) -> Adapter {
        let has = |component: Component, feature: Feature| {
            component.is_implemented() && feature.is_compiled()
        };
        let aws = has(Component::Aws, Feature::Aws);
        let opendal = has(Component::Opendal, Feature::Opendal);
        match self.backend {
            Some(BackendName::Opendal) => Adapter::Opendal,
            Some(BackendName::Aws) => Adapter::Aws,
            None if aws && self.provider.prefers_aws() => Adapter::Aws,
            // The only compiled adapter.
            None if aws && !opendal && self.provider.has_aws_adapter() => Adapter::Aws,
            None => Adapter::Opendal,
        }
    }

    /// Buckets of `fs` and `memory` are in every build and need no adapter.
    pub(super) fn needs_adapter(&self) -> bool {
        self.provider.is_remote() || self.backend.is_some()
    }

    pub(super) fn settings(&self, credential: &CredentialConfig) -> BucketSettings {
        BucketSettings {
            provider: self.provider.provider(),
            adapter: Some(self.adapter()),
            bucket: self.bucket.clone(),
            region: self.region.clone(),
            endpoint: self.endpoint.trim_end_matches('/').to_owned(),
            force_path_style: self.force_path_style,
            root: match self.provider {
                ProviderName::Fs => Some(self.root.clone()),
                ProviderName::S3
                | ProviderName::Cos
                | ProviderName::Ctyun
                | ProviderName::Oss
                | ProviderName::Memory => None,
            },
            credential: credential.settings(),
        }
    }

    pub(super) fn check(
        &self,
        alias: &str,
        credentials: &BTreeMap<String, CredentialConfig>,
        problems: &mut Problems,
    ) {
        if alias.is_empty() || alias.chars().any(char::is_control) {
            problems.add(
                &["buckets", alias],
                "expected an alias of at least one character, none of them a control character",
            );
        }
        let mut add = |key: &str, message: String| problems.add(&["buckets", alias, key], message);
        if self.provider.is_remote() {
            if !self.root.as_os_str().is_empty() {
                add("root", "only buckets of provider `fs` have a root".into());
            }
            if self.bucket.is_empty() {
                add(
                    "bucket",
                    "missing: expected the bucket's name at the provider".into(),
                );
            }
            if self.endpoint.is_empty() && self.region.is_empty() {
                add(
                    "endpoint",
                    "missing: expected `endpoint` or `region`, or both".into(),
                );
            }
            let known = || match credentials.is_empty() {
                true => "an entry of `credentials`, which has none".to_owned(),
                false => {
                    let names: Vec<&str> = credentials.keys().map(String::as_str).collect();
                    format!("one of `credentials`: {}", names.join(", "))
                }
            };
            if self.credential.is_empty() {
                add("credential", format!("missing: expected {}", known()));
            } else if let Some(credential) = credentials.get(&self.credential) {
                if credential.source.needs_aws() && self.adapter() != Adapter::Aws {
                    let source = credential.source.name();
                    add(
                        "credential",
                        format!("`source: {source}` works with `backend: aws` only: expected that"),
                    );
                }
            } else {
                add(
                    "credential",
                    format!(
                        "no credential is named `{}`: expected {}",
                        self.credential,
                        known()
                    ),
                );
            }
        } else {
            for (key, value) in [
                ("bucket", &self.bucket),
                ("region", &self.region),
                ("endpoint", &self.endpoint),
                ("public_endpoint", &self.public_endpoint),
                ("credential", &self.credential),
            ] {
                if !value.is_empty() {
                    add(
                        key,
                        "means nothing for the providers `fs` and `memory`: expected to be left out".into(),
                    );
                }
            }
            match (self.provider == ProviderName::Fs, self.root.as_os_str()) {
                (true, root) if root.is_empty() => {
                    add("root", "missing: expected a folder".into());
                }
                (false, root) if !root.is_empty() => {
                    add("root", "only buckets of provider `fs` have a root".into());
                }
                (true | false, _) => {}
            }
        }
        for (key, value) in [
            ("endpoint", &self.endpoint),
            ("public_endpoint", &self.public_endpoint),
        ] {
            if !value.is_empty()
                && self.provider.is_remote()
                && let Err(error) = http_url(value)
            {
                add(key, error);
            }
        }
        if self.backend == Some(BackendName::Aws) && !self.provider.has_aws_adapter() {
            add(
                "backend",
                "`aws` speaks to the providers `s3`, `ctyun` and `cos` only: expected `opendal`"
                    .into(),
            );
        }
    }
}
