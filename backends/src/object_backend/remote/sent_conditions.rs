//! Conditions that storage evaluates, in the one form that all stores read alike.

use crate::object_backend::Conditions;
use crate::object_backend::conditions::{Tag, TagList};

/// The conditions to send. Drops those that RFC 9110 §13.2.2 ignores and those that hold for any object;
/// a list holds one tag in quotes.
///
/// `None` where stores differ in how they read the conditions: send a HEAD, evaluate the conditions
/// here, then GET the version that the HEAD found.
pub fn for_storage(conditions: &Conditions) -> Option<Conditions> {
    let mut sent = Conditions::default();
    if let Some(list) = &conditions.if_match {
        match TagList::parse(list) {
            TagList::Any => {}
            TagList::Tags(tags) => match tags.as_slice() {
                [tag] if !tag.weak => sent.if_match = Some(quoted(tag.opaque)),
                _ => return None,
            },
        }
    } else {
        sent.if_unmodified_since = conditions.if_unmodified_since;
    }
    if let Some(list) = &conditions.if_none_match {
        match TagList::parse(list) {
            TagList::Tags(tags) if tags.is_empty() => {}
            TagList::Tags(tags) => match tags.as_slice() {
                // The comparison is weak: the `W/` may be dropped.
                [tag] => sent.if_none_match = Some(quoted(tag.opaque)),
                _ => return None,
            },
            TagList::Any => return None,
        }
    } else {
        sent.if_modified_since = conditions.if_modified_since;
    }
    Some(sent)
}

/// `If-Match` with a strong tag: storage answers with this version or not at all.
pub fn if_same_version(etag: &str) -> Conditions {
    let tag = Tag::of_meta(etag);
    Conditions {
        if_match: (!tag.weak).then(|| quoted(tag.opaque)),
        ..Conditions::default()
    }
}

/// A precondition (412) and a freshness condition (304) are sent together. Stores differ in which
/// failure they answer.
pub fn has_both_kinds(sent: &Conditions) -> bool {
    (sent.if_match.is_some() || sent.if_unmodified_since.is_some())
        && (sent.if_none_match.is_some() || sent.if_modified_since.is_some())
}

fn quoted(opaque: &str) -> String {
    format!("\"{opaque}\"")
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;

    fn sent(conditions: Conditions) -> Option<Conditions> {
        for_storage(&conditions)
    }

    #[test]
    fn a_single_strong_tag_is_sent() {
        let options = sent(Conditions {
            if_match: Some("\"a\"".into()),
            if_unmodified_since: Some(SystemTime::UNIX_EPOCH),
            if_none_match: Some("W/\"b\"".into()),
            if_modified_since: Some(SystemTime::UNIX_EPOCH),
        })
        .expect("sent to storage");
        assert_eq!(options.if_match.as_deref(), Some("\"a\""));
        assert_eq!(options.if_none_match.as_deref(), Some("\"b\""));
        assert_eq!(options.if_unmodified_since, None);
        assert_eq!(options.if_modified_since, None);
        assert!(has_both_kinds(&options));
    }

    #[test]
    fn dates_are_sent_without_a_tag() {
        let options = sent(Conditions {
            if_unmodified_since: Some(SystemTime::UNIX_EPOCH),
            if_modified_since: Some(SystemTime::UNIX_EPOCH),
            ..Conditions::default()
        })
        .expect("sent to storage");
        assert!(options.if_unmodified_since.is_some());
        assert!(options.if_modified_since.is_some());
    }

    #[test]
    fn a_star_in_if_match_is_dropped() {
        let options = sent(Conditions {
            if_match: Some("*".into()),
            ..Conditions::default()
        })
        .expect("sent to storage");
        assert_eq!(options.if_match, None);
    }

    #[test]
    fn lists_are_not_sent() {
        for list in ["\"a\", \"b\"", "*"] {
            assert!(
                sent(Conditions {
                    if_none_match: Some(list.into()),
                    ..Conditions::default()
                })
                .is_none()
            );
        }
        for list in ["\"a\", \"b\"", "W/\"a\"", ""] {
            assert!(
                sent(Conditions {
                    if_match: Some(list.into()),
                    ..Conditions::default()
                })
                .is_none()
            );
        }
    }
}
