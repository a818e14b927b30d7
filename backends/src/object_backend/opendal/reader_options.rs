//! Our conditions to OpenDAL's.

use std::time::SystemTime;

use opendal::options::ReaderOptions;
use opendal::raw::Timestamp;

use crate::object_backend::Conditions;

/// What [`for_storage`](crate::object_backend::remote::sent_conditions::for_storage) said to send.
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
