//! Which conditions are left to storage, and in which words.

use crate::object_backend::Conditions;
use crate::object_backend::conditions::{Tag, TagList};

/// What storage is sent to evaluate: without what RFC 9110 §13.2.2 says to ignore, and without what is
/// true of any object that exists. Lists hold one tag in quotes.
///
/// `None`: stores differ in how they read these conditions. Look first, evaluate here, then ask for
/// the version that was looked at.
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
                // Compared weakly, so the mark of weakness says nothing.
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

/// A request for exactly this version, as far as its tag can tell.
pub fn pinned(etag: &str) -> Conditions {
    let tag = Tag::of_meta(etag);
    Conditions {
        if_match: (!tag.weak).then(|| quoted(tag.opaque)),
        ..Conditions::default()
    }
}

/// Both a precondition and a freshness condition are sent: whose failure storage tells first is
/// its own choice.
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
    fn one_strong_tag_is_sent() {
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
    fn dates_are_sent_where_no_tag_replaces_them() {
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
    fn any_existing_object_matches_a_star() {
        let options = sent(Conditions {
            if_match: Some("*".into()),
            ..Conditions::default()
        })
        .expect("sent to storage");
        assert_eq!(options.if_match, None);
    }

    #[test]
    fn lists_are_judged_here() {
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
