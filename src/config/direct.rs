//! The section `direct`: uploads and downloads between browsers and storage.

use serde::Deserialize;

use super::error::Problems;

/// The section `direct`.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DirectConfig {
    /// Longest validity of a presigned upload. Default: 900.
    pub max_seconds: u64,
    /// Validity of the URL of a redirected download. Default: 30.
    pub redirect_seconds: u64,
    /// Prefix of uploads that are not completed yet; `""`: uploads go to their key. Default: `.staging/`.
    pub staging_prefix: String,
    /// Prefixes that `success_action_redirect` may have. Default: none.
    pub redirect_allow: Vec<String>,
}

impl Default for DirectConfig {
    fn default() -> Self {
        Self {
            max_seconds: 900,
            redirect_seconds: 30,
            staging_prefix: ".staging/".to_owned(),
            redirect_allow: Vec::new(),
        }
    }
}

/// Longest validity of a presigned URL with signature version 4: seven days.
const MAX_PRESIGNED_SECONDS: u64 = 604_800;

impl DirectConfig {
    pub(super) fn check(&self, problems: &mut Problems) {
        for (key, seconds) in [
            ("max_seconds", self.max_seconds),
            ("redirect_seconds", self.redirect_seconds),
        ] {
            if !(1..=MAX_PRESIGNED_SECONDS).contains(&seconds) {
                problems.add(
                    &["direct", key],
                    format!("expected 1 to {MAX_PRESIGNED_SECONDS} seconds"),
                );
            }
        }
        if self.staging_prefix.starts_with('/') {
            problems.add(
                &["direct", "staging_prefix"],
                "expected a prefix without a slash at its start, such as `.staging/`",
            );
        }
    }
}
