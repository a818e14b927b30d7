//! OpenDAL's metadata and conditions, to ours and back.

use std::time::SystemTime;

use opendal::Metadata;
use opendal::options::ReaderOptions;
use opendal::raw::Timestamp;

use crate::object_backend::conditions::{Tag, TagList, unquoted};
use crate::object_backend::{Conditions, ObjectMeta};

/// Name of the user metadata that holds [`PutOptions::marker`](crate::object_backend::PutOptions).
pub const MARKER: &str = "ag-upload";

pub fn object_meta(metadata: &Metadata) -> ObjectMeta {
    let text = |value: Option<&str>| value.filter(|text| !text.is_empty()).map(str::to_owned);
    ObjectMeta {
        size: metadata.content_length(),
        etag: metadata.etag().map(bare_etag),
        last_modified: metadata.last_modified().map(SystemTime::from),
        content_type: text(metadata.content_type()),
        cache_control: text(metadata.cache_control()),
        content_encoding: text(metadata.content_encoding()),
        marker: text(metadata.user_metadata().and_then(|map| map.get(MARKER))),
    }
}

/// Strong tags without their quotes, weak ones as they are.
pub fn bare_etag(etag: &str) -> String {
    unquoted(etag).to_owned()
}

/// What storage is sent to judge: without what RFC 9110 §13.2.2 says to ignore, and without what is
/// true of any object that exists.
///
/// `None`: stores differ in how they read these conditions. Look first, judge here, then ask for
/// the version that was looked at.
pub fn for_storage(conditions: &Conditions) -> Option<ReaderOptions> {
    let mut options = ReaderOptions::default();
    if let Some(list) = &conditions.if_match {
        match TagList::parse(list) {
            TagList::Any => {}
            TagList::Tags(tags) => match tags.as_slice() {
                [tag] if !tag.weak => options.if_match = Some(quoted(tag.opaque)),
                _ => return None,
            },
        }
    } else {
        options.if_unmodified_since = conditions.if_unmodified_since.and_then(timestamp);
    }
    if let Some(list) = &conditions.if_none_match {
        match TagList::parse(list) {
            TagList::Tags(tags) if tags.is_empty() => {}
            TagList::Tags(tags) => match tags.as_slice() {
                // Compared weakly, so the mark of weakness says nothing.
                [tag] => options.if_none_match = Some(quoted(tag.opaque)),
                _ => return None,
            },
            TagList::Any => return None,
        }
    } else {
        options.if_modified_since = conditions.if_modified_since.and_then(timestamp);
    }
    Some(options)
}

/// A request for exactly this version, as far as its tag can tell.
pub fn pinned(etag: &str) -> ReaderOptions {
    let tag = Tag::of_meta(etag);
    ReaderOptions {
        if_match: (!tag.weak).then(|| quoted(tag.opaque)),
        ..ReaderOptions::default()
    }
}

/// Both a precondition and a freshness condition are sent: whose failure storage tells first is
/// its own choice.
pub fn has_both_kinds(options: &ReaderOptions) -> bool {
    (options.if_match.is_some() || options.if_unmodified_since.is_some())
        && (options.if_none_match.is_some() || options.if_modified_since.is_some())
}

fn quoted(opaque: &str) -> String {
    format!("\"{opaque}\"")
}

fn timestamp(time: SystemTime) -> Option<Timestamp> {
    Timestamp::try_from(time).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(conditions: Conditions) -> Option<ReaderOptions> {
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
