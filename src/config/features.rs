//! Compiled features, and the check that a configuration uses only compiled components.

use asset_gateway_backends::settings::Adapter;

use super::error::Problems;
use super::{Config, TokenStoreKind};

/// A Cargo feature. No other file of this crate reads `cfg(feature)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Feature {
    Sled,
    Redis,
    Opendal,
    Aws,
    Images,
}

impl Feature {
    pub const ALL: [Self; 5] = [
        Self::Sled,
        Self::Redis,
        Self::Opendal,
        Self::Aws,
        Self::Images,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Sled => "sled",
            Self::Redis => "redis",
            Self::Opendal => "opendal",
            Self::Aws => "aws",
            Self::Images => "images",
        }
    }

    pub fn is_compiled(self) -> bool {
        match self {
            Self::Sled => cfg!(feature = "sled"),
            Self::Redis => cfg!(feature = "redis"),
            Self::Opendal => cfg!(feature = "opendal"),
            Self::Aws => cfg!(feature = "aws"),
            Self::Images => cfg!(feature = "images"),
        }
    }

    /// The names of all compiled features, such as `sled, opendal`.
    pub fn compiled() -> String {
        let names: Vec<&str> = Self::ALL
            .into_iter()
            .filter(|feature| feature.is_compiled())
            .map(Self::name)
            .collect();
        names.join(", ")
    }
}

/// A component of the gateway that a configuration can use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Component {
    Sled,
    Redis,
    Opendal,
    Aws,
    Images,
    Direct,
}

impl Component {
    /// Whether this version has the component at all.
    pub fn is_implemented(self) -> bool {
        match self {
            Self::Sled => true,
            Self::Redis => true,
            Self::Opendal => true,
            Self::Aws => true,
            Self::Images => false,
            Self::Direct => false,
        }
    }

    /// The feature that the component needs. `None`: it is in every build.
    pub fn feature(self) -> Option<Feature> {
        match self {
            Self::Sled => Some(Feature::Sled),
            Self::Redis => Some(Feature::Redis),
            Self::Opendal => Some(Feature::Opendal),
            Self::Aws => Some(Feature::Aws),
            Self::Images => Some(Feature::Images),
            Self::Direct => None,
        }
    }

    /// Why the component cannot be used.
    pub(super) fn refusal(self, what: &str) -> Option<String> {
        if !self.is_implemented() {
            return Some(format!("{what} is not part of this version yet"));
        }
        let feature = self.feature().filter(|feature| !feature.is_compiled())?;
        Some(format!(
            "{what} needs the feature `{}`, which this build does not have",
            feature.name()
        ))
    }
}

/// Refuses components that the configuration uses and this build does not have.
pub fn check_features(config: &Config, problems: &mut Problems) {
    let mut need = |used: bool, component: Component, key: &[&str], what: &str| {
        if used && let Some(refusal) = component.refusal(what) {
            problems.add(key, refusal);
        }
    };

    let redis = config.redis.is_some();
    need(redis, Component::Redis, &["redis"], "the section `redis`");
    let kind = ["token_store", "kind"];
    match config.token_store_kind() {
        TokenStoreKind::Redis => need(!redis, Component::Redis, &kind, "the token store `redis`"),
        TokenStoreKind::Sled => need(true, Component::Sled, &kind, "the token store `sled`"),
    }
    for (alias, bucket) in &config.buckets {
        let key = |key| ["buckets", alias.as_str(), key];
        let (part, what) = match bucket.adapter() {
            Adapter::Opendal => (Component::Opendal, "the backend `opendal`"),
            Adapter::Aws => (Component::Aws, "the backend `aws`"),
        };
        need(bucket.needs_adapter(), part, &key("backend"), what);
        let public = !bucket.public_endpoint.is_empty();
        need(
            public,
            Component::Direct,
            &key("public_endpoint"),
            "`public_endpoint`",
        );
        let signature = bucket.post_signature.is_some();
        need(
            signature,
            Component::Direct,
            &key("post_signature"),
            "`post_signature`",
        );
    }
    let direct = config.direct.is_some();
    need(
        direct,
        Component::Direct,
        &["direct"],
        "the section `direct`",
    );
    let images = config.images.is_some();
    need(
        images,
        Component::Images,
        &["images"],
        "the section `images`",
    );
}
