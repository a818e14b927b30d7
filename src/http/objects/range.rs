//! `Range`, `If-Range` and the preconditions of a request (RFC 9110 §13 and §14).

use std::time::SystemTime;

use asset_gateway_backends::object_backend::{ByteRange, Conditions, ObjectMeta};
use http::{HeaderMap, header};

use crate::error::GatewayError;
use crate::http::headers::{list, single};

/// The part of the object that a `Range` header requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// No range, another unit, or several ranges: the whole object is a correct answer to each.
    Whole,
    One(ByteRange),
    /// `bytes=` without a valid range.
    Malformed,
}

/// Reads the `Range` header.
pub fn wanted(headers: &HeaderMap) -> Result<Wanted, GatewayError> {
    let Some(value) = single(headers, &header::RANGE)? else {
        return Ok(Wanted::Whole);
    };
    let Some((unit, ranges)) = value.split_once('=') else {
        return Ok(Wanted::Malformed);
    };
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return Ok(Wanted::Whole);
    }
    let mut wanted = Wanted::Malformed;
    // Empty list elements are ignored (RFC 9110 §5.6.1.2).
    let ranges = ranges.split(',').map(str::trim).filter(|r| !r.is_empty());
    for (index, range) in ranges.enumerate() {
        let Some(range) = parse(range) else {
            return Ok(Wanted::Malformed);
        };
        wanted = if index == 0 {
            Wanted::One(range)
        } else {
            Wanted::Whole
        };
    }
    Ok(wanted)
}

fn parse(range: &str) -> Option<ByteRange> {
    let number = |text: &str| -> Option<u64> {
        let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        // A number beyond u64 lies past the end of any object.
        digits.then(|| text.parse().unwrap_or(u64::MAX))
    };
    let (first, last) = range.split_once('-')?;
    if first.is_empty() {
        return Some(ByteRange::Suffix {
            length: number(last)?,
        });
    }
    let first = number(first)?;
    let last = match last {
        "" => None,
        last => Some(number(last)?),
    };
    last.is_none_or(|last| first <= last)
        .then_some(ByteRange::From { first, last })
}

/// Reads the preconditions. Dates are ignored beside entity tags (RFC 9110 §13.2.2).
pub fn conditions(headers: &HeaderMap) -> Result<Conditions, GatewayError> {
    let date = |name| -> Result<Option<SystemTime>, GatewayError> {
        // An invalid date is ignored (RFC 9110 §13.1.3).
        let text = single(headers, name)?;
        Ok(text.and_then(|text| httpdate::parse_http_date(text).ok()))
    };
    let if_match = list(headers, &header::IF_MATCH)?;
    let if_none_match = list(headers, &header::IF_NONE_MATCH)?;
    Ok(Conditions {
        if_modified_since: match if_none_match {
            Some(_) => None,
            None => date(&header::IF_MODIFIED_SINCE)?,
        },
        if_unmodified_since: match if_match {
            Some(_) => None,
            None => date(&header::IF_UNMODIFIED_SINCE)?,
        },
        if_match,
        if_none_match,
    })
}

/// The validator of `If-Range`: the range is sent only if the object still matches it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Validator {
    /// A strong entity tag, in quotes.
    ETag(String),
    Modified(SystemTime),
    /// A weak or invalid validator, which matches no object.
    Never,
}

/// Reads the `If-Range` header.
pub fn if_range(headers: &HeaderMap) -> Result<Option<Validator>, GatewayError> {
    Ok(single(headers, &header::IF_RANGE)?.map(|text| {
        if text.len() >= 2 && text.starts_with('"') && text.ends_with('"') {
            return Validator::ETag(text.to_owned());
        }
        httpdate::parse_http_date(text).map_or(Validator::Never, Validator::Modified)
    }))
}

impl Validator {
    /// Adds the validator to the conditions of the request to storage; `false` where the client's own
    /// conditions take its place.
    pub fn guard(&self, conditions: &mut Conditions) -> bool {
        if conditions.if_match.is_some() || conditions.if_unmodified_since.is_some() {
            return false;
        }
        match self {
            Self::ETag(etag) => conditions.if_match = Some(etag.clone()),
            Self::Modified(time) => conditions.if_unmodified_since = Some(*time),
            Self::Never => return false,
        }
        true
    }

    /// Whether the object is the one that the client has a part of.
    pub fn matches(&self, meta: &ObjectMeta) -> bool {
        match self {
            Self::ETag(quoted) => meta
                .etag
                .as_deref()
                .is_some_and(|etag| !etag.starts_with("W/") && quoted.trim_matches('"') == etag),
            // HTTP dates have a resolution of one second.
            Self::Modified(time) => meta.last_modified.is_some_and(|modified| {
                httpdate::fmt_http_date(modified) == httpdate::fmt_http_date(*time)
            }),
            Self::Never => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_header_is_one_range_the_whole_or_malformed() {
        let wanted = |text: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::RANGE, text.parse().unwrap());
            super::wanted(&headers).unwrap()
        };
        let from = |first, last| Wanted::One(ByteRange::From { first, last });
        assert_eq!(wanted("bytes=0-0"), from(0, Some(0)));
        assert_eq!(wanted("BYTES=5-"), from(5, None));
        assert_eq!(wanted("bytes= 5-9 "), from(5, Some(9)));
        assert_eq!(
            wanted("bytes=-7"),
            Wanted::One(ByteRange::Suffix { length: 7 })
        );
        assert_eq!(wanted("bytes=99999999999999999999-"), from(u64::MAX, None));
        assert_eq!(wanted("bytes=0-1,5-6"), Wanted::Whole);
        assert_eq!(wanted("bytes=, 5-9 ,,"), from(5, Some(9)));
        assert_eq!(wanted("lines=0-1"), Wanted::Whole);
        for malformed in [
            "bytes=abc",
            "bytes=",
            "bytes=,",
            "bytes=-",
            "bytes=5-2",
            "bytes",
            "bytes=1-2,x",
        ] {
            assert_eq!(wanted(malformed), Wanted::Malformed, "{malformed}");
        }
    }

    #[test]
    fn two_range_headers_are_refused() {
        let mut headers = HeaderMap::new();
        headers.append(header::RANGE, "bytes=0-1".parse().unwrap());
        headers.append(header::RANGE, "bytes=2-3".parse().unwrap());
        assert!(wanted(&headers).is_err());
    }
}
