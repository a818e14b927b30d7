//! Conditions to OpenDAL's reader options.

use std::time::SystemTime;

use opendal::options::ReaderOptions;
use opendal::raw::Timestamp;

use crate::object_backend::Conditions;

/// `sent` are conditions that storage evaluates.
pub fn reader_options(sent: &Conditions) -> ReaderOptions {
    let timestamp = |time: Option<SystemTime>| time.and_then(|time| Timestamp::try_from(time).ok());
    ReaderOptions {
        if_match: sent.if_match.clone(),
        if_none_match: sent.if_none_match.clone(),
        if_modified_since: timestamp(sent.if_modified_since),
        if_unmodified_since: timestamp(sent.if_unmodified_since),
        ..ReaderOptions::default()
    }
}
