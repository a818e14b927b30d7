//! Keys that a bucket cannot hold, or its adapter cannot send.

use super::{Route, cloud};
use crate::error::{BackendError, ErrorKind, Result};

/// `InvalidKey` where the cloud refuses `key` or the adapter would send another one; the reason is a
/// noun, for clients.
pub fn check_key(route: &Route, operation: &'static str, key: &str) -> Result<()> {
    let refuse = |reason: String| {
        let kind = ErrorKind::InvalidKey;
        Err(BackendError::with_source(kind, operation, reason))
    };
    if let Some(cloud) = cloud(route.provider) {
        let most = cloud.max_key_bytes;
        if key.len() > most {
            return refuse(format!("a key of more than {most} bytes"));
        }
        if !cloud.leading_backslash && key.starts_with('\\') {
            return refuse("a key that begins with a backslash".into());
        }
    }
    if key.is_empty() {
        return refuse("an empty key".into());
    }
    if key.split('/').any(|segment| matches!(segment, "." | "..")) {
        // HTTP clients resolve these segments.
        return refuse("a key with `.` or `..` between slashes".into());
    }
    if route.any_key {
        return Ok(());
    }
    if key.trim() != key {
        refuse("a key with blanks at its ends".into())
    } else if key.ends_with('/') {
        refuse("a key with a slash at its end".into())
    } else if key.starts_with('/') || key.contains("//") {
        refuse("a key with `//` in it or a slash in front".into())
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object_backend::remote::clouds::{ROUTES, route_to};
    use crate::settings::{Adapter, Provider};

    fn refused(route: &Route, key: &str) -> Option<String> {
        check_key(route, "test", key).err()?.reason()
    }

    #[test]
    fn providers_have_their_own_longest_key() {
        for route in &ROUTES {
            let most = match route.provider {
                Provider::Cos => 850,
                Provider::Oss => 1023,
                Provider::S3 | Provider::Ctyun | Provider::Fs | Provider::Memory => 1024,
            };
            // Of two bytes each.
            let key = |bytes: usize| "\u{fc}".repeat(bytes / 2) + &"x".repeat(bytes % 2);
            assert_eq!(refused(route, &key(most)), None, "{route:?}");
            let reason = refused(route, &key(most + 1)).expect("too long");
            assert!(reason.contains(&most.to_string()), "{reason}");
        }
    }

    #[test]
    fn a_backslash_in_front_is_refused_where_the_provider_does() {
        for route in &ROUTES {
            let reason = refused(route, "\\a");
            let expected = matches!(route.provider, Provider::Cos | Provider::Oss);
            assert_eq!(reason.is_some(), expected, "{route:?}: {reason:?}");
            assert_eq!(refused(route, "a\\b"), None);
        }
    }

    #[test]
    fn keys_that_opendal_would_rewrite_are_refused_for_opendal_only() {
        for key in ["folder/", "a//b.txt", " a", "a ", "a\n"] {
            for route in &ROUTES {
                let reason = refused(route, key);
                let expected = route.adapter == Adapter::Opendal;
                assert_eq!(reason.is_some(), expected, "{route:?} {key:?}: {reason:?}");
            }
        }
        let aws = route_to(Provider::S3, Adapter::Aws).unwrap();
        for key in ["", ".", "a/./b", "../a", "a/.."] {
            assert!(refused(aws, key).is_some(), "{key:?}");
        }
    }
}
