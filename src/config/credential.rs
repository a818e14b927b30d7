//! `credentials`: keys of storage providers.

use std::path::PathBuf;

use asset_gateway_backends::settings::Secret;
use serde::Deserialize;

use super::error::Problems;
use super::secret;

/// One entry of `credentials`. Each key can stand in a file instead: `access_key_file`, …
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CredentialConfig {
    /// Needed.
    pub access_key: Secret,
    pub access_key_file: PathBuf,
    /// Needed.
    pub secret_key: Secret,
    pub secret_key_file: PathBuf,
    /// Of temporary credentials. Default: none.
    pub session_token: Secret,
    pub session_token_file: PathBuf,
}

impl CredentialConfig {
    pub(super) fn read_secrets(&mut self, name: &str, problems: &mut Problems) {
        let secrets = [
            ("access_key", &mut self.access_key, &self.access_key_file),
            ("secret_key", &mut self.secret_key, &self.secret_key_file),
            (
                "session_token",
                &mut self.session_token,
                &self.session_token_file,
            ),
        ];
        for (key, inline, file) in secrets {
            secret::resolve(inline, file, &["credentials", name, key], problems);
        }
    }

    pub(super) fn check(&self, name: &str, problems: &mut Problems) {
        for (key, secret, file) in [
            ("access_key", &self.access_key, &self.access_key_file),
            ("secret_key", &self.secret_key, &self.secret_key_file),
        ] {
            // A file that gave nothing has its own problem.
            if secret.is_empty() && file.as_os_str().is_empty() {
                problems.add(
                    &["credentials", name, key],
                    format!("missing: expected `{key}` or `{key}_file`"),
                );
            }
        }
    }
}
