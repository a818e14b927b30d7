//! Where a bucket's keys come from.

use std::path::PathBuf;

use super::Secret;

/// Keys that sign requests.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Keys {
    /// Access key id; empty, with `secret_key`: requests are not signed.
    pub access_key: Secret,
    /// Secret access key.
    pub secret_key: Secret,
    /// Session token of temporary keys; empty: none.
    pub session_token: Secret,
}

impl Keys {
    /// Whether requests are not signed.
    pub fn is_empty(&self) -> bool {
        self.access_key.is_empty()
    }

    /// Refuses one key without the other; the text is for the operator.
    pub fn check(&self) -> Result<(), String> {
        match self.access_key.is_empty() == self.secret_key.is_empty() {
            true => Ok(()),
            false => Err("the credential needs both `access_key` and `secret_key`".into()),
        }
    }
}

/// Where a bucket's keys come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CredentialSettings {
    /// Fixed keys.
    Keys(Keys),
    /// A file that is re-read while it is in use, see [`crate::credentials_file`]. `Aws` only.
    File {
        /// Path of the file.
        path: PathBuf,
        /// Profile in the file.
        profile: String,
    },
    /// The default credential provider chain of the AWS SDKs: environment, profiles, web identity,
    /// container, instance. `Aws` only.
    DefaultChain {
        /// Profile, in place of `AWS_PROFILE`.
        profile: Option<String>,
    },
}

impl CredentialSettings {
    /// The fixed keys; an error, for the operator, if the keys come from elsewhere.
    pub fn keys(&self) -> Result<&Keys, String> {
        match self {
            Self::Keys(keys) => keys.check().map(|()| keys),
            Self::File { .. } | Self::DefaultChain { .. } => {
                Err("only `backend: aws` gets keys from a file or from Amazon's chain".into())
            }
        }
    }
}

impl Default for CredentialSettings {
    fn default() -> Self {
        Self::Keys(Keys::default())
    }
}
