//! Ranges and dates in the form that the SDK takes.

use std::time::SystemTime;

use aws_sdk_s3::primitives::DateTime;

use crate::object_backend::ByteRange;

/// The value of `Range`.
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

/// HTTP dates have whole seconds.
pub fn date(time: SystemTime) -> DateTime {
    DateTime::from_secs(DateTime::from(time).secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_become_headers() {
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
    }
}
