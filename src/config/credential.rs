//! The section `credentials`: keys of storage providers.

use std::collections::BTreeMap;
use std::path::PathBuf;

use asset_gateway_backends::credentials_file;
use asset_gateway_backends::settings::{CredentialSettings, Keys, Secret};
use serde::Deserialize;

use super::error::Problems;
use super::secret_file;

const ACCESS_KEY: &str = "AWS_ACCESS_KEY_ID";
const SECRET_KEY: &str = "AWS_SECRET_ACCESS_KEY";
const SESSION_TOKEN: &str = "AWS_SESSION_TOKEN";

/// What `source: environment` reads; the session token is optional.
pub(super) const VARIABLES: [&str; 3] = [ACCESS_KEY, SECRET_KEY, SESSION_TOKEN];

/// One entry of `credentials`. Each key can be in a file instead: `access_key_file`, …
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CredentialConfig {
    /// Where the keys come from. Default: `static`, the keys below.
    pub source: CredentialSource,
    /// Required with `static`.
    pub access_key: Secret,
    pub access_key_file: PathBuf,
    /// Required with `static`.
    pub secret_key: Secret,
    pub secret_key_file: PathBuf,
    /// Session token of temporary credentials. Default: none.
    pub session_token: Secret,
    pub session_token_file: PathBuf,
    /// The credentials file; required with `source: file`.
    pub file: PathBuf,
    /// The profile. Default: `default`; with `default_chain` the value of `AWS_PROFILE`.
    pub profile: String,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CredentialSource {
    #[default]
    Static,
    /// The variables of the AWS SDKs, read at start.
    Environment,
    /// An AWS credentials file, read again when it changes.
    File,
    /// The default credential chain of the AWS SDK.
    DefaultChain,
}

impl CredentialSource {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Static => "static",
            Self::Environment => "environment",
            Self::File => "file",
            Self::DefaultChain => "default_chain",
        }
    }

    /// Whether the keys can change while the gateway runs.
    pub(super) fn needs_aws(self) -> bool {
        match self {
            Self::Static | Self::Environment => false,
            Self::File | Self::DefaultChain => true,
        }
    }
}

impl CredentialConfig {
    pub(super) fn settings(&self) -> CredentialSettings {
        let profile = Some(self.profile.clone()).filter(|profile| !profile.is_empty());
        match self.source {
            CredentialSource::Static | CredentialSource::Environment => {
                CredentialSettings::Keys(Keys {
                    access_key: self.access_key.clone(),
                    secret_key: self.secret_key.clone(),
                    session_token: self.session_token.clone(),
                })
            }
            CredentialSource::File => CredentialSettings::File {
                path: self.file.clone(),
                profile: profile.unwrap_or_else(|| "default".to_owned()),
            },
            CredentialSource::DefaultChain => CredentialSettings::DefaultChain { profile },
        }
    }

    pub(super) fn read_secrets(
        &mut self,
        name: &str,
        variables: &BTreeMap<String, String>,
        problems: &mut Problems,
    ) {
        let source = self.source;
        for (key, inline, file) in self.keys() {
            let path = ["credentials", name, key];
            if source == CredentialSource::Static {
                secret_file::resolve(inline, file, &path, problems);
            } else if !inline.is_empty() || !file.as_os_str().is_empty() {
                let source = source.name();
                problems.add(
                    &path,
                    format!("means nothing with `source: {source}`: expected to be left out"),
                );
            }
        }
        match source {
            CredentialSource::Environment => self.read_environment(name, variables, problems),
            CredentialSource::File => self.check_file(name, problems),
            CredentialSource::Static | CredentialSource::DefaultChain => {}
        }
    }

    fn keys(&mut self) -> [(&'static str, &mut Secret, &PathBuf); 3] {
        [
            ("access_key", &mut self.access_key, &self.access_key_file),
            ("secret_key", &mut self.secret_key, &self.secret_key_file),
            (
                "session_token",
                &mut self.session_token,
                &self.session_token_file,
            ),
        ]
    }

    fn read_environment(
        &mut self,
        name: &str,
        variables: &BTreeMap<String, String>,
        problems: &mut Problems,
    ) {
        let value = |variable| variables.get(variable).cloned().unwrap_or_default();
        self.access_key = Secret::new(value(ACCESS_KEY));
        self.secret_key = Secret::new(value(SECRET_KEY));
        self.session_token = Secret::new(value(SESSION_TOKEN));
        for (variable, key) in [
            (ACCESS_KEY, &self.access_key),
            (SECRET_KEY, &self.secret_key),
        ] {
            if key.is_empty() {
                problems.add(
                    &["credentials", name, "source"],
                    format!("expected the environment variable {variable}, which is not set"),
                );
            }
        }
    }

    /// Checks that the file exists and is complete. The adapter reads it again.
    fn check_file(&self, name: &str, problems: &mut Problems) {
        if let CredentialSettings::File { path, profile } = self.settings()
            && !path.as_os_str().is_empty()
            && let Err(error) = credentials_file::read(&path, &profile)
        {
            problems.add(
                &["credentials", name, "file"],
                format!("{error}; expected a file such as ~/.aws/credentials"),
            );
        }
    }

    pub(super) fn check(&self, name: &str, problems: &mut Problems) {
        let mut add = |key, message| problems.add(&["credentials", name, key], message);
        let has_file = !self.file.as_os_str().is_empty();
        if self.source == CredentialSource::File && !has_file {
            add(
                "file",
                "missing: expected the file that holds the keys".to_owned(),
            );
        }
        if self.source != CredentialSource::File && has_file {
            add(
                "file",
                "means something with `source: file` only: expected that".into(),
            );
        }
        if !self.source.needs_aws() && !self.profile.is_empty() {
            let sources = "`source: file` and `source: default_chain`";
            add(
                "profile",
                format!("means something with {sources} only: expected one of them"),
            );
        }
        if self.source != CredentialSource::Static {
            return;
        }
        for (key, secret, file) in [
            ("access_key", &self.access_key, &self.access_key_file),
            ("secret_key", &self.secret_key, &self.secret_key_file),
        ] {
            // A file without a secret is a problem of its own.
            if secret.is_empty() && file.as_os_str().is_empty() {
                add(key, format!("missing: expected `{key}` or `{key}_file`"));
            }
        }
    }
}
