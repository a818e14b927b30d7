//! Keys that object stores cannot hold.

use crate::error::{BackendError, ErrorKind, Result};
use crate::settings::Provider;

/// `key` as one of `provider`'s, as its documentation has it; in bytes of UTF-8.
///
/// S3 takes 1,024 bytes (<https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html>), COS
/// 850 (<https://www.tencentcloud.com/document/product/436/13324>), OSS 1,023
/// (<https://www.alibabacloud.com/help/en/oss/user-guide/object-naming-conventions>); the latter two
/// none that begins with a backslash.
pub fn check(provider: Provider, operation: &'static str, key: &str) -> Result<()> {
    let (most, backslash) = match provider {
        Provider::Cos => (850, false),
        Provider::Oss => (1023, false),
        Provider::S3 | Provider::Ctyun | Provider::Fs | Provider::Memory => (1024, true),
    };
    let is_step = |segment| matches!(segment, "." | "..");
    if key.is_empty() {
        refuse(operation, "an empty key")
    } else if key.len() > most {
        refuse(operation, format!("a key of more than {most} bytes"))
    } else if !backslash && key.starts_with('\\') {
        refuse(operation, "a key that begins with a backslash")
    } else if key.ends_with('/') {
        // Stores take it for a folder.
        refuse(operation, "a key with a slash at its end")
    } else if key.split('/').any(is_step) {
        // Addresses lose them on their way.
        refuse(operation, "a key with `.` or `..` between slashes")
    } else {
        Ok(())
    }
}

/// `InvalidKey`; `reason` is a noun, for clients.
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
        check(provider, "test", key).err()?.reason()
    }

    #[test]
    fn providers_have_their_own_longest_key() {
        for (provider, most) in [
            (Provider::S3, 1024),
            (Provider::Ctyun, 1024),
            (Provider::Cos, 850),
            (Provider::Oss, 1023),
        ] {
            // Of two bytes each.
            let key = |bytes: usize| "\u{fc}".repeat(bytes / 2) + &"x".repeat(bytes % 2);
            assert_eq!(refused(provider, &key(most)), None, "{provider:?}");
            let reason = refused(provider, &key(most + 1)).expect("too long");
            assert!(reason.contains(&most.to_string()), "{reason}");
        }
    }

    #[test]
    fn a_backslash_in_front_is_refused_where_the_provider_does() {
        for provider in [Provider::Cos, Provider::Oss] {
            assert!(refused(provider, "\\a").is_some_and(|reason| reason.contains("backslash")));
            assert_eq!(refused(provider, "a\\b"), None);
        }
        assert_eq!(refused(Provider::S3, "\\a"), None);
    }
}
