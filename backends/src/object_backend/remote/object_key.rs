//! Keys that a provider cannot hold.

use crate::error::{BackendError, ErrorKind, Result};
use crate::settings::Provider;

/// Refuses a key that `provider` cannot hold by its documentation. Lengths are bytes of UTF-8.
///
/// S3 takes 1,024 bytes (<https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html>), COS
/// 850 (<https://www.tencentcloud.com/document/product/436/13324>), OSS 1,023
/// (<https://www.alibabacloud.com/help/en/oss/user-guide/object-naming-conventions>). COS and OSS take
/// none that begins with a backslash.
pub fn check_key(provider: Provider, operation: &'static str, key: &str) -> Result<()> {
    let (max_bytes, may_begin_with_backslash) = match provider {
        Provider::Cos => (850, false),
        Provider::Oss => (1023, false),
        Provider::S3 | Provider::Ctyun | Provider::Fs | Provider::Memory => (1024, true),
    };
    let is_dot_segment = |segment| matches!(segment, "." | "..");
    if key.is_empty() {
        refuse(operation, "an empty key")
    } else if key.len() > max_bytes {
        refuse(operation, format!("a key of more than {max_bytes} bytes"))
    } else if !may_begin_with_backslash && key.starts_with('\\') {
        refuse(operation, "a key that begins with a backslash")
    } else if key.ends_with('/') {
        // Stores treat it as a folder.
        refuse(operation, "a key with a slash at its end")
    } else if key.split('/').any(is_dot_segment) {
        // URL parsers remove such segments.
        refuse(operation, "a key with `.` or `..` between slashes")
    } else {
        Ok(())
    }
}

/// `InvalidKey`. Clients see `reason`, a noun.
pub fn refuse(
    operation: &'static str,
    reason: impl Into<Box<dyn std::error::Error + Send + Sync>>,
) -> Result<()> {
    let kind = ErrorKind::InvalidKey;
    Err(BackendError::with_source(kind, operation, reason))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(provider: Provider, key: &str) -> Option<String> {
        check_key(provider, "test", key).err()?.reason()
    }

    #[test]
    fn each_provider_has_its_own_longest_key() {
        for (provider, most) in [
            (Provider::S3, 1024),
            (Provider::Ctyun, 1024),
            (Provider::Cos, 850),
            (Provider::Oss, 1023),
        ] {
            // Characters of two bytes.
            let key = |bytes: usize| "\u{fc}".repeat(bytes / 2) + &"x".repeat(bytes % 2);
            assert_eq!(refused(provider, &key(most)), None, "{provider:?}");
            let reason = refused(provider, &key(most + 1)).expect("too long");
            assert!(reason.contains(&most.to_string()), "{reason}");
        }
    }

    #[test]
    fn a_leading_backslash_is_refused_for_cos_and_oss() {
        for provider in [Provider::Cos, Provider::Oss] {
            assert!(refused(provider, "\\a").is_some_and(|reason| reason.contains("backslash")));
            assert_eq!(refused(provider, "a\\b"), None);
        }
        assert_eq!(refused(Provider::S3, "\\a"), None);
    }
}
