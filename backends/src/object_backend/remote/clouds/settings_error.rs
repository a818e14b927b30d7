//! Why a bucket's settings cannot be used, for the operator.

use std::fmt;

/// The setting that is wrong, and what is expected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingsError {
    /// The key below the bucket; `None` where the error is of another section.
    pub key: Option<&'static str>,
    /// What is wrong, and what is expected.
    pub text: String,
}

impl SettingsError {
    /// An error of one setting.
    pub fn of(key: &'static str, text: impl Into<String>) -> Self {
        Self {
            key: Some(key),
            text: text.into(),
        }
    }
}

impl From<String> for SettingsError {
    fn from(text: String) -> Self {
        Self { key: None, text }
    }
}

impl fmt::Display for SettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.key {
            Some(key) => write!(f, "`{key}`: {}", self.text),
            None => f.write_str(&self.text),
        }
    }
}
