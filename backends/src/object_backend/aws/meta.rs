//! The SDK's answers to our metadata, and ranges in both directions.

use std::ops::Range;
use std::time::SystemTime;

use aws_sdk_s3::operation::get_object::GetObjectOutput;
use aws_sdk_s3::operation::head_object::HeadObjectOutput;
use aws_sdk_s3::primitives::DateTime;

use crate::object_backend::conditions::bare_etag;
use crate::object_backend::content_coding::for_readers;
use crate::object_backend::{ByteRange, MARKER, ObjectMeta};

/// Both answers carry the same headers, in types of their own.
macro_rules! object_meta {
    ($answer:expr, $size:expr) => {{
        let text = |value: Option<&str>| value.filter(|text| !text.is_empty()).map(str::to_owned);
        let marker = $answer.metadata().and_then(|map| map.get(MARKER));
        ObjectMeta {
            size: $size,
            etag: $answer.e_tag().map(bare_etag),
            last_modified: $answer
                .last_modified()
                .and_then(|time| SystemTime::try_from(*time).ok()),
            content_type: text($answer.content_type()),
            cache_control: text($answer.cache_control()),
            content_encoding: $answer.content_encoding().and_then(for_readers),
            content_language: text($answer.content_language()),
            marker: text(marker.map(String::as_str)),
        }
    }};
}

/// `None`: the answer does not say how long the object is.
pub fn of_head(answer: &HeadObjectOutput) -> Option<ObjectMeta> {
    let size = length(answer.content_length())?;
    Some(object_meta!(answer, size))
}

/// `size` is the whole object's.
pub fn of_get(answer: &GetObjectOutput, size: u64) -> ObjectMeta {
    object_meta!(answer, size)
}

/// What `Content-Length` says.
pub fn length(header: Option<i64>) -> Option<u64> {
    header.and_then(|length| u64::try_from(length).ok())
}

/// The header that asks for this range.
pub fn range_header(range: ByteRange) -> String {
    match range {
        ByteRange::From {
            first,
            last: Some(last),
        } => format!("bytes={first}-{last}"),
        ByteRange::From { first, last: None } => format!("bytes={first}-"),
        ByteRange::Suffix { length } => format!("bytes=-{length}"),
    }
}

/// The range and the size of the whole, as in `bytes 0-99/1000`.
pub fn content_range(header: &str) -> Option<(Range<u64>, u64)> {
    let (range, size) = header.trim().strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let (first, last) = (first.parse().ok()?, last.parse::<u64>().ok()?);
    Some((first..last.checked_add(1)?, size.parse().ok()?))
}

/// In whole seconds: a header has no more.
pub fn date(time: SystemTime) -> DateTime {
    DateTime::from_secs(DateTime::from(time).secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_there_and_back() {
        let between = ByteRange::From {
            first: 5,
            last: Some(9),
        };
        let from = ByteRange::From {
            first: 5,
            last: None,
        };
        let suffix = ByteRange::Suffix { length: 7 };
        assert_eq!(range_header(between), "bytes=5-9");
        assert_eq!(range_header(from), "bytes=5-");
        assert_eq!(range_header(suffix), "bytes=-7");
        assert_eq!(content_range("bytes 5-9/100"), Some((5..10, 100)));
        for strange in ["", "5-9/100", "bytes 5-9/*", "bytes */100", "bytes 5/100"] {
            assert_eq!(content_range(strange), None, "{strange}");
        }
        let last = format!("bytes 0-{}/100", u64::MAX);
        assert_eq!(content_range(&last), None);
    }
}
