//! The section `control`: control tokens and the control plane's request checks.

use std::fmt;
use std::path::PathBuf;

use asset_gateway_backends::settings::Secret;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::error::Problems;
use super::secret_file;

/// The section `control`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ControlConfig {
    /// Tokens for the control plane, plain or as `sha256:<64 hex digits>`. Default: none; at least one is
    /// required.
    pub tokens: Vec<ControlToken>,
    /// A file with control tokens, one on each line. Default: none.
    pub tokens_file: PathBuf,
    /// HMAC key for the digests of stored tokens. Default: none, plain SHA-256. Another key makes
    /// every stored token unknown.
    pub token_pepper_file: PathBuf,
    /// How request bodies with unknown fields are treated. Default: `reject`.
    pub unknown_fields: UnknownFields,
    /// The content of `token_pepper_file`.
    #[serde(skip)]
    pub token_pepper: Option<Secret>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UnknownFields {
    /// 400 that names the field.
    #[default]
    Reject,
    /// For old clients that send other fields.
    Ignore,
}

impl ControlConfig {
    pub(super) fn read_secrets(&mut self, problems: &mut Problems) {
        let key = ["control", "token_pepper_file"];
        self.token_pepper = secret_file::read_file(&self.token_pepper_file, &key, problems);

        let key = ["control", "tokens"];
        let lines = secret_file::read_lines(&mut self.tokens, &self.tokens_file, &key, problems);
        if lines.is_some_and(|lines| lines.expose().trim().is_empty()) {
            problems.add(
                &["control", "tokens_file"],
                "the file holds blank lines only: expected a token on each line",
            );
        }
    }

    pub(super) fn check(&self, problems: &mut Problems) {
        // A file without tokens is a problem of its own.
        if self.tokens.is_empty() && self.tokens_file.as_os_str().is_empty() {
            problems.add(
                &["control", "tokens"],
                "no control token: expected at least one in `control.tokens` or in the file that `control.tokens_file` names",
            );
        }
    }
}

/// The digest of a control token.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct ControlToken([u8; 32]);

impl ControlToken {
    /// Whether `presented` is this token; the comparison takes constant time.
    pub fn matches(&self, presented: &[u8]) -> bool {
        let digest: [u8; 32] = Sha256::digest(presented).into();
        bool::from(self.0.ct_eq(&digest))
    }

    /// SHA-256 of the token.
    pub fn digest(&self) -> &[u8; 32] {
        &self.0
    }
}

impl TryFrom<String> for ControlToken {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if let Some(digits) = text.strip_prefix("sha256:") {
            let mut digest = [0; 32];
            hex::decode_to_slice(digits, &mut digest)
                .map_err(|_| "after `sha256:` expected 64 hex digits".to_owned())?;
            return Ok(Self(digest));
        }
        // A header cannot contain such a token.
        if text.is_empty() || text.trim() != text || text.chars().any(char::is_control) {
            return Err("a control token is empty, has blanks around it or control characters in it: expected text that can stand after `Bearer `, or `sha256:` and 64 hex digits".to_owned());
        }
        Ok(Self(Sha256::digest(text.as_bytes()).into()))
    }
}

impl fmt::Debug for ControlToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(text: &str) -> Result<ControlToken, String> {
        ControlToken::try_from(text.to_owned())
    }

    #[test]
    fn tokens_match_plain_and_by_digest() {
        let digest = hex::encode(Sha256::digest(b"control-token-1"));
        for text in ["control-token-1".to_owned(), format!("sha256:{digest}")] {
            let token = token(&text).expect("valid");
            assert!(token.matches(b"control-token-1"));
            assert!(!token.matches(b"control-token-2"));
            assert!(!token.matches(text.as_bytes()) || text == "control-token-1");
            assert_eq!(format!("{token:?}"), "[redacted]");
        }
    }

    #[test]
    fn errors_do_not_repeat_an_invalid_token() {
        for text in [
            "",
            " geheim",
            "geheim\n",
            "sha256:geheim",
            "sha256:",
            "sha256:00ff",
        ] {
            let error = token(text).expect_err(text);
            assert!(
                error.contains("expected") && !error.contains("geheim"),
                "{error}"
            );
        }
    }
}
