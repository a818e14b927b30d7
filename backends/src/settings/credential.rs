use std::path::PathBuf;

use super::Secret;

/// What requests are signed with.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Keys {
    /// Empty, with `secret_key`: requests are not signed.
    pub access_key: Secret,
    pub secret_key: Secret,
    /// Of temporary keys; empty: none.
    pub session_token: Secret,
}

impl Keys {
    /// For requests that are not signed.
    pub fn is_empty(&self) -> bool {
        self.access_key.is_empty()
    }

    /// One key without the other; the text is for the operator.
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
    Keys(Keys),
    /// A file that is read again while requests go on, see [`crate::credentials_file`]. `Aws` only.
    File {
        path: PathBuf,
        profile: String,
    },
    /// What Amazon's SDKs and tools find by themselves: environment, profiles, web identity,
    /// container, instance. `Aws` only. `profile`: in place of `AWS_PROFILE`.
    DefaultChain {
        profile: Option<String>,
    },
}

impl CredentialSettings {
    /// The keys, where they are known from the beginning; else the text is for the operator.
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
