//! OpenDAL's metadata to ours, and our conditions to OpenDAL's.

use std::time::SystemTime;

use opendal::Metadata;
use opendal::options::ReaderOptions;
use opendal::raw::Timestamp;

use crate::object_backend::conditions::bare_etag;
use crate::object_backend::content_coding::for_readers;
use crate::object_backend::{Conditions, MARKER, ObjectMeta};

pub fn object_meta(metadata: &Metadata) -> ObjectMeta {
    let text = |value: Option<&str>| value.filter(|text| !text.is_empty()).map(str::to_owned);
    ObjectMeta {
        size: metadata.content_length(),
        etag: metadata.etag().map(bare_etag),
        last_modified: metadata.last_modified().map(SystemTime::from),
        content_type: text(metadata.content_type()),
        cache_control: text(metadata.cache_control()),
        content_encoding: metadata.content_encoding().and_then(for_readers),
        content_language: None,
        marker: text(metadata.user_metadata().and_then(|map| map.get(MARKER))),
    }
}

/// What [`for_storage`](crate::object_backend::conditions::forward::for_storage) said to send.
pub fn reader_options(sent: Conditions) -> ReaderOptions {
    let timestamp = |time: Option<SystemTime>| time.and_then(|time| Timestamp::try_from(time).ok());
    ReaderOptions {
        if_match: sent.if_match,
        if_none_match: sent.if_none_match,
        if_modified_since: timestamp(sent.if_modified_since),
        if_unmodified_since: timestamp(sent.if_unmodified_since),
        ..ReaderOptions::default()
    }
}
