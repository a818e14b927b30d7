//! `Range` (RFC 9110 §14.1): an accepted range is the requested one.

use asset_gateway::http::objects::range::{Wanted, wanted};
use asset_gateway_backends::object_backend::ByteRange;
use http::{HeaderMap, HeaderValue, header};

const SIZES: [u64; 6] = [0, 1, 10, 300_000, u64::MAX - 1, u64::MAX];

/// `data`: the value of the header.
pub fn run(data: &[u8]) {
    let Ok(value) = HeaderValue::from_bytes(data) else {
        return;
    };
    let text = value.to_str().map(str::to_owned);
    let parsed = wanted(&HeaderMap::from_iter([(header::RANGE, value)]));
    let (Ok(text), Ok(parsed)) = (text, parsed) else {
        return;
    };
    let Wanted::One(range) = parsed else {
        return;
    };
    let written = write(range);
    let again = HeaderValue::from_str(&written).expect("digits");
    let again = wanted(&HeaderMap::from_iter([(header::RANGE, again)]));
    assert_eq!(again.ok(), Some(parsed), "{text:?} is written as {written}");
    assert_eq!(plain(&text), plain(&written), "{text:?}");
    for size in SIZES {
        resolves(range, size);
    }
}

fn write(range: ByteRange) -> String {
    match range {
        ByteRange::From { first, last } => {
            let last = last.map(|last| last.to_string()).unwrap_or_default();
            format!("bytes={first}-{last}")
        }
        ByteRange::Suffix { length } => format!("bytes=-{length}"),
    }
}

/// Normalises a set of one range: case, white space, empty elements, leading zeros. All numbers beyond 64
/// bits are equal.
fn plain(text: &str) -> String {
    let text = text.to_ascii_lowercase().replace([' ', '\t', ','], "");
    let (unit, range) = text.split_once('=').expect("it was understood");
    let number = |digits: &str| match digits {
        "" => String::new(),
        digits => digits.parse().unwrap_or(u64::MAX).to_string(),
    };
    let (first, last) = range.split_once('-').expect("it was understood");
    format!("{unit}={}-{}", number(first), number(last))
}

/// The resolved range of an object of `size` lies within the object and the range.
fn resolves(range: ByteRange, size: u64) {
    let Some(bytes) = range.resolve(size) else {
        return;
    };
    assert!(bytes.start < bytes.end && bytes.end <= size);
    match range {
        ByteRange::From { first, last } => {
            assert_eq!(bytes.start, first);
            let end = last.map_or(size, |last| last.saturating_add(1).min(size));
            assert_eq!(bytes.end, end);
        }
        ByteRange::Suffix { length } => {
            assert_eq!(bytes.end, size);
            assert_eq!(bytes.end - bytes.start, length.min(size));
        }
    }
}
