//! `Content-Range` of a 206 response (RFC 9110 §14.4).

use std::ops::Range;

use crate::object_backend::ByteRange;

/// The bytes that a response holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContentRange {
    pub span: Range<u64>,
    /// Size of the whole object; `None` = `*`, unknown.
    pub total: Option<u64>,
}

impl ContentRange {
    /// `bytes first-last/total`; `None` where no object can have it.
    pub fn parse(header: &str) -> Option<Self> {
        let (unit, rest) = header.trim().split_once(' ')?;
        if !unit.eq_ignore_ascii_case("bytes") {
            return None;
        }
        let (span, total) = rest.trim_start().split_once('/')?;
        let (first, last) = span.split_once('-')?;
        let (first, last) = (number(first)?, number(last)?);
        let total = match total {
            "*" => None,
            total => Some(number(total)?),
        };
        let end = last.checked_add(1)?;
        let is_possible = first <= last && total.is_none_or(|total| end <= total);
        is_possible.then_some(Self {
            span: first..end,
            total,
        })
    }

    /// Whether the response holds all of `asked`, clamped to the size. Of an unknown size, only a range
    /// with both ends can be compared.
    pub fn answers(&self, asked: ByteRange) -> bool {
        match (self.total, asked) {
            (Some(total), asked) => asked.resolve(total).as_ref() == Some(&self.span),
            (
                None,
                ByteRange::From {
                    first,
                    last: Some(last),
                },
            ) => self.span.start == first && self.span.end - 1 == last,
            (None, ByteRange::From { last: None, .. } | ByteRange::Suffix { .. }) => false,
        }
    }
}

/// Digits and nothing else.
fn number(text: &str) -> Option<u64> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_possible_ranges_are_parsed() {
        let read = |header| ContentRange::parse(header).map(|range| (range.span, range.total));
        assert_eq!(read("bytes 5-9/100"), Some((5..10, Some(100))));
        assert_eq!(read("Bytes 5-9/10"), Some((5..10, Some(10))));
        assert_eq!(read("bytes 5-9/*"), Some((5..10, None)));
        let last = format!("bytes 0-{}/*", u64::MAX);
        for impossible in [
            "",
            "5-9/100",
            "bytes 5-9",
            "bytes 9-5/100",
            "bytes 5-9/9",
            "bytes */100",
            "bytes 5/100",
            "bytes +5-9/100",
            "bytes -9/100",
            "items 5-9/100",
            last.as_str(),
        ] {
            assert_eq!(read(impossible), None, "{impossible}");
        }
    }
}
