//! What this build can do, and what a configuration may therefore ask for.

use asset_gateway_backends::settings::Adapter;

use super::error::Problems;
use super::{Config, TokenStoreKind};

/// A Cargo feature. The only place of this crate that looks at them.
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

    /// The names of all that are compiled in, such as `sled, opendal`.
    pub fn compiled() -> String {
        let names: Vec<&str> = Self::ALL
            .into_iter()
            .filter(|feature| feature.is_compiled())
            .map(Self::name)
            .collect();
        names.join(", ")
    }
}

/// A part of the gateway that a configuration can ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    Sled,
    Redis,
    Opendal,
    Aws,
    Images,
    Direct,
}

impl Part {
    /// Whether this version has the part at all: a line to turn when it is written.
    pub fn is_built(self) -> bool {
        match self {
            Self::Sled => true,
            Self::Redis => true,
            Self::Opendal => true,
            Self::Aws => true,
            Self::Images => false,
            Self::Direct => false,
        }
    }

    /// The feature that brings it; `None`: in every build.
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

    /// Why it cannot be had.
    pub(super) fn refusal(self, what: &str) -> Option<String> {
        if !self.is_built() {
            return Some(format!("{what} is not part of this version yet"));
        }
        let feature = self.feature().filter(|feature| !feature.is_compiled())?;
        Some(format!(
            "{what} needs the feature `{}`, which this build does not have",
            feature.name()
        ))
    }
}

/// Refuses what the configuration asks for and this build does not have.
pub fn check_features(config: &Config, problems: &mut Problems) {
    let mut need = |asked: bool, part: Part, key: &[&str], what: &str| {
        if asked && let Some(refusal) = part.refusal(what) {
            problems.add(key, refusal);
        }
    };

    let redis = config.redis.is_some();
    need(redis, Part::Redis, &["redis"], "the section `redis`");
    let kind = ["token_store", "kind"];
    match config.token_store_kind() {
        TokenStoreKind::Redis => need(!redis, Part::Redis, &kind, "the token store `redis`"),
        TokenStoreKind::Sled => need(true, Part::Sled, &kind, "the token store `sled`"),
    }
    for (alias, bucket) in &config.buckets {
        let key = |key| ["buckets", alias.as_str(), key];
        let (part, what) = match bucket.adapter() {
            Adapter::Opendal => (Part::Opendal, "the backend `opendal`"),
            Adapter::Aws => (Part::Aws, "the backend `aws`"),
        };
        need(bucket.needs_adapter(), part, &key("backend"), what);
        let public = !bucket.public_endpoint.is_empty();
        need(
            public,
            Part::Direct,
            &key("public_endpoint"),
            "`public_endpoint`",
        );
        let signature = bucket.post_signature.is_some();
        need(
            signature,
            Part::Direct,
            &key("post_signature"),
            "`post_signature`",
        );
    }
    let direct = config.direct.is_some();
    need(direct, Part::Direct, &["direct"], "the section `direct`");
    let images = config.images.is_some();
    need(images, Part::Images, &["images"], "the section `images`");
}
