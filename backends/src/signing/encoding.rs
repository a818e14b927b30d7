//! Percent-encoding as signatures have it: all but RFC 3986's unreserved characters.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, percent_encode};

const NAME: AsciiSet = NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');
const PATH: AsciiSet = NAME.remove(b'/');

/// The path of a request, however much of it is encoded; slashes stay.
pub fn path(sent: &str) -> String {
    encode(sent, &PATH)
}

/// A bucket, or a name or value of a query, however much of it is encoded.
pub fn name(sent: &str) -> String {
    encode(sent, &NAME)
}

fn encode(sent: &str, kept: &'static AsciiSet) -> String {
    let bytes: Vec<u8> = percent_decode_str(sent).collect();
    percent_encode(&bytes, kept).to_string()
}

/// Names and values of a query, encoded and sorted; a name without a value stands alone.
pub fn query(sent: &str) -> String {
    let pairs = sent.split('&').filter(|pair| !pair.is_empty());
    let mut pairs: Vec<(String, String)> = pairs
        .map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            (name(key), name(value))
        })
        .collect();
    pairs.sort();
    let pairs = pairs
        .into_iter()
        .map(|(key, value)| match value.is_empty() {
            true => key,
            false => format!("{key}={value}"),
        });
    pairs.collect::<Vec<_>>().join("&")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_form_of_every_path() {
        for (sent, expected) in [
            ("/a/b", "/a/b"),
            ("/a%20b", "/a%20b"),
            ("/!*'()~", "/%21%2A%27%28%29~"),
            // A slash inside a name and one between names are the same to storage.
            ("/%2f%2F+", "///%2B"),
            ("/%E4%BD%A0", "/%E4%BD%A0"),
        ] {
            assert_eq!(path(sent), expected);
        }
    }

    #[test]
    fn queries_are_sorted_and_empty_values_left_out() {
        assert_eq!(query(""), "");
        assert_eq!(query("uploads"), "uploads");
        assert_eq!(
            query("uploadId=a%2Fb&partNumber=1"),
            "partNumber=1&uploadId=a%2Fb"
        );
        assert_eq!(query("b=&a=x y&a=1"), "a=1&a=x%20y&b");
    }
}
