//! The sections `token_store` and `sled`: the engine for tokens and callbacks.

use std::path::PathBuf;

use asset_gateway_backends::settings::SledSettings;
use serde::Deserialize;

use super::error::Problems;

/// The section `token_store`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TokenStoreConfig {
    /// Default: `redis` if there is a `redis` section, else `sled`.
    pub kind: Option<TokenStoreKind>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenStoreKind {
    /// Embedded: one process.
    Sled,
    /// Shared by several nodes.
    Redis,
}

/// The section `sled`.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SledConfig {
    /// Folder of the database, created if missing. Default: `./data/tokens`.
    pub path: PathBuf,
}

impl Default for SledConfig {
    fn default() -> Self {
        Self {
            path: "./data/tokens".into(),
        }
    }
}

impl SledConfig {
    pub(super) fn settings(&self) -> SledSettings {
        SledSettings {
            path: self.path.clone(),
        }
    }

    pub(super) fn check(&self, problems: &mut Problems) {
        if self.path.as_os_str().is_empty() {
            problems.add(&["sled", "path"], "empty: expected a folder");
        }
    }
}
