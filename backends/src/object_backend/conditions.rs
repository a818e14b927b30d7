//! Evaluates conditions (RFC 9110 §13) against the metadata of an object.

use std::time::{SystemTime, UNIX_EPOCH};

use super::{Conditions, ObjectMeta};
use crate::error::ErrorKind;

/// Whether the conditions hold for an existing object, in the order of RFC 9110 §13.2.2.
///
/// # Errors
/// [`ErrorKind::PreconditionFailed`] (`If-Match`, `If-Unmodified-Since`) or
/// [`ErrorKind::NotModified`] (`If-None-Match`, `If-Modified-Since`).
pub fn evaluate(conditions: &Conditions, meta: &ObjectMeta) -> Result<(), ErrorKind> {
    let tag = meta.etag.as_deref().map(Tag::of_meta);
    if let Some(list) = &conditions.if_match {
        // The comparison is strong: a weak tag does not even equal itself.
        let matches = |wanted: &Tag<'_>| tag.as_ref().is_some_and(|tag| tag.equals_strong(wanted));
        if !TagList::parse(list).any(matches) {
            return Err(ErrorKind::PreconditionFailed);
        }
    } else if let (Some(limit), Some(modified)) =
        (conditions.if_unmodified_since, meta.last_modified)
        && seconds(modified) > seconds(limit)
    {
        return Err(ErrorKind::PreconditionFailed);
    }

    if let Some(list) = &conditions.if_none_match {
        let matches = |given: &Tag<'_>| tag.as_ref().is_some_and(|tag| tag.opaque == given.opaque);
        if TagList::parse(list).any(matches) {
            return Err(ErrorKind::NotModified);
        }
    } else if let (Some(since), Some(modified)) = (conditions.if_modified_since, meta.last_modified)
        && seconds(modified) <= seconds(since)
    {
        return Err(ErrorKind::NotModified);
    }
    Ok(())
}

/// HTTP dates have whole seconds.
fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

/// An entity tag, without its quotes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tag<'a> {
    pub weak: bool,
    pub opaque: &'a str,
}

impl<'a> Tag<'a> {
    /// The tag in [`ObjectMeta::etag`]: a strong one has no quotes, a weak one is `W/"…"`.
    pub fn of_meta(etag: &'a str) -> Self {
        match etag.strip_prefix("W/") {
            Some(quoted) => Self {
                weak: true,
                opaque: unquoted(quoted),
            },
            None => Self {
                weak: false,
                opaque: unquoted(etag),
            },
        }
    }

    fn equals_strong(&self, other: &Tag<'_>) -> bool {
        !self.weak && !other.weak && self.opaque == other.opaque
    }
}

/// `text` without surrounding quotes.
pub fn unquoted(text: &str) -> &str {
    text.strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'))
        .unwrap_or(text)
}

/// The form of [`ObjectMeta::etag`]: a strong tag without quotes, a weak one unchanged.
pub fn bare_etag(etag: &str) -> String {
    unquoted(etag).to_owned()
}

/// The value of an `If-Match` or `If-None-Match` header.
#[derive(Debug, PartialEq, Eq)]
pub enum TagList<'a> {
    /// `*`: any existing representation.
    Any,
    Tags(Vec<Tag<'a>>),
}

impl<'a> TagList<'a> {
    /// Accepts a tag without quotes, as some clients send it, up to the next comma.
    pub fn parse(header: &'a str) -> Self {
        let mut rest = header.trim();
        if rest == "*" {
            return Self::Any;
        }
        let mut tags = Vec::new();
        loop {
            rest = rest.trim_start_matches([' ', '\t', ',']);
            if rest.is_empty() {
                return Self::Tags(tags);
            }
            let weak = rest.starts_with("W/");
            let tag = if weak { &rest[2..] } else { rest };
            // Quotes may contain a comma.
            let (opaque, after) = match tag.strip_prefix('"').and_then(|t| t.split_once('"')) {
                Some((opaque, after)) => (opaque, after),
                None => {
                    let end = tag.find(',').unwrap_or(tag.len());
                    (tag[..end].trim_end(), &tag[end..])
                }
            };
            tags.push(Tag { weak, opaque });
            rest = after;
        }
    }

    fn any(&self, matches: impl FnMut(&Tag<'_>) -> bool) -> bool {
        match self {
            Self::Any => true,
            Self::Tags(tags) => tags.iter().any(matches),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    fn meta(etag: &str) -> ObjectMeta {
        ObjectMeta {
            etag: Some(etag.into()),
            last_modified: Some(at(1000) + Duration::from_millis(700)),
            ..ObjectMeta::default()
        }
    }

    fn if_match(list: &str) -> Conditions {
        Conditions {
            if_match: Some(list.into()),
            ..Conditions::default()
        }
    }

    fn if_none_match(list: &str) -> Conditions {
        Conditions {
            if_none_match: Some(list.into()),
            ..Conditions::default()
        }
    }

    const FAILED: Result<(), ErrorKind> = Err(ErrorKind::PreconditionFailed);
    const FRESH: Result<(), ErrorKind> = Err(ErrorKind::NotModified);

    #[test]
    fn no_conditions_hold() {
        assert_eq!(evaluate(&Conditions::default(), &meta("a")), Ok(()));
    }

    #[test]
    fn if_match_compares_strongly() {
        for (list, etag, expected) in [
            (r#""a""#, "a", Ok(())),
            (r#""b", "a""#, "a", Ok(())),
            (r#""b","a,x""#, "a,x", Ok(())),
            ("*", "a", Ok(())),
            ("*", r#"W/"a""#, Ok(())),
            ("a", "a", Ok(())),
            (r#""b""#, "a", FAILED),
            (r#"W/"a""#, "a", FAILED),
            (r#""a""#, r#"W/"a""#, FAILED),
            (r#"W/"a""#, r#"W/"a""#, FAILED),
            ("", "a", FAILED),
        ] {
            assert_eq!(
                evaluate(&if_match(list), &meta(etag)),
                expected,
                "{list} {etag}"
            );
        }
    }

    #[test]
    fn if_none_match_compares_weakly() {
        for (list, etag, expected) in [
            (r#""a""#, "a", FRESH),
            (r#"W/"a""#, "a", FRESH),
            (r#""a""#, r#"W/"a""#, FRESH),
            (r#""b" , W/"a""#, "a", FRESH),
            ("*", "a", FRESH),
            (r#""b""#, "a", Ok(())),
            ("", "a", Ok(())),
            (r#""a"#, "a", Ok(())),
        ] {
            assert_eq!(
                evaluate(&if_none_match(list), &meta(etag)),
                expected,
                "{list} {etag}"
            );
        }
    }

    #[test]
    fn dates_compare_in_whole_seconds() {
        for (since, expected) in [(999, Ok(())), (1000, FRESH), (1001, FRESH)] {
            let conditions = Conditions {
                if_modified_since: Some(at(since)),
                ..Conditions::default()
            };
            assert_eq!(evaluate(&conditions, &meta("a")), expected, "{since}");
        }
        for (limit, expected) in [(999, FAILED), (1000, Ok(())), (1001, Ok(()))] {
            let conditions = Conditions {
                if_unmodified_since: Some(at(limit)),
                ..Conditions::default()
            };
            assert_eq!(evaluate(&conditions, &meta("a")), expected, "{limit}");
        }
    }

    #[test]
    fn tags_take_precedence_over_dates() {
        let conditions = Conditions {
            if_match: Some(r#""a""#.into()),
            if_unmodified_since: Some(at(1)),
            if_none_match: Some(r#""b""#.into()),
            if_modified_since: Some(at(5000)),
        };
        assert_eq!(evaluate(&conditions, &meta("a")), Ok(()));
    }

    #[test]
    fn preconditions_are_evaluated_before_freshness() {
        let conditions = Conditions {
            if_match: Some(r#""b""#.into()),
            if_none_match: Some(r#""a""#.into()),
            ..Conditions::default()
        };
        assert_eq!(evaluate(&conditions, &meta("a")), FAILED);
        let conditions = Conditions {
            if_match: Some(r#""a""#.into()),
            ..conditions
        };
        assert_eq!(evaluate(&conditions, &meta("a")), FRESH);
    }

    #[test]
    fn an_unknown_date_fails_no_condition() {
        let unknown = ObjectMeta::default();
        let conditions = Conditions {
            if_modified_since: Some(at(5000)),
            if_unmodified_since: Some(at(1)),
            ..Conditions::default()
        };
        assert_eq!(evaluate(&conditions, &unknown), Ok(()));
        assert_eq!(evaluate(&if_match(r#""a""#), &unknown), FAILED);
        assert_eq!(evaluate(&if_none_match("*"), &unknown), FRESH);
    }
}
