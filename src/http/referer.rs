//! Redacts `Referer` headers for events: the result contains no token and no link with one.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

/// Length of generated tokens.
const GENERATED_TOKEN_LENGTH: usize = 28;
/// Levels of percent-encoding that are decoded, for links within links.
const MAX_DECODINGS: usize = 4;
/// Path segments that precede a token.
const TOKEN_PREFIX_SEGMENTS: [&str; 3] = ["object", "u", "token"];

/// `referer`, or only its origin if it is a page of `own` (authorities, without a scheme), or contains
/// `token` or text in a token's form. Empty if the origin contains such text.
pub fn redact<'a>(referer: &'a str, own: &[&str], token: &str) -> &'a str {
    let Some((scheme, after)) = referer.split_once("://") else {
        return if contains_token(referer, token) {
            ""
        } else {
            referer
        };
    };
    let authority = after
        .split(['/', '?', '#', '\\'])
        .next()
        .unwrap_or_default();
    let origin = &referer[..scheme.len() + "://".len() + authority.len()];
    let is_own = || {
        let is_same = |own: &&str| !own.is_empty() && same_authority(scheme, authority, own);
        own.iter().any(is_same)
    };
    if !is_own() && !contains_token(&referer[scheme.len()..], token) {
        return referer;
    }
    if authority.contains('@') || contains_token(authority, token) {
        return "";
    }
    origin
}

/// Compares authorities without the scheme's default port, which base URLs leave out.
fn same_authority(scheme: &str, authority: &str, own: &str) -> bool {
    let host = authority.rsplit('@').next().unwrap_or_default();
    let default_port = match scheme.eq_ignore_ascii_case("https") {
        true => ":443",
        false => ":80",
    };
    let bare =
        |text: &'_ str| -> usize { text.strip_suffix(default_port).map_or(text.len(), str::len) };
    host[..bare(host)].eq_ignore_ascii_case(&own[..bare(own)])
}

fn contains_token(text: &str, token: &str) -> bool {
    let mut text = Cow::Borrowed(text);
    for _ in 0..MAX_DECODINGS {
        if contains_plain_token(&text, token) {
            return true;
        }
        if !text.contains('%') {
            return false;
        }
        let decoded = percent_decode_str(&text).decode_utf8_lossy().into_owned();
        text = Cow::Owned(decoded);
    }
    contains_plain_token(&text, token)
}

fn contains_plain_token(text: &str, token: &str) -> bool {
    let is_generated = |word: &str| word.len() == GENERATED_TOKEN_LENGTH && word.is_ascii();
    // Splits at characters that custom tokens cannot have.
    let mut words = text.split(|c: char| !c.is_ascii_alphanumeric() && !"-_.~".contains(c));
    if words.any(|word| word == token) {
        return true;
    }
    let mut words = text.split(|c: char| !c.is_ascii_alphanumeric() && !"-_".contains(c));
    if words.any(is_generated) {
        return true;
    }
    let path = text.split(['?', '#']).next().unwrap_or_default();
    let mut segments = path.split('/').peekable();
    while let Some(segment) = segments.next() {
        let follows = segments.peek().is_some_and(|next| !next.is_empty());
        if follows && TOKEN_PREFIX_SEGMENTS.contains(&segment) {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    const GENERATED: &str = "AbCdEfGhIjKlMnOpQrStUvWxYz-_";

    fn redacted(referer: &str) -> &str {
        redact(referer, &["gateway.example", "10.0.0.1:8080", ""], "mine")
    }

    #[test]
    fn referers_without_tokens_are_kept() {
        for page in [
            "",
            "https://page.example/a?b=c#d",
            "https://gateway.example.evil.test/a",
            "https://gateway.example:8080/a",
            "https://page.example/mines/100%25",
            "https://page.example/?object=1",
            "https://page.example/object/",
            "android-app://com.example/https/page",
            "no address",
            "file:///home",
        ] {
            assert_eq!(redacted(page), page);
        }
    }

    #[test]
    fn referers_with_tokens_are_cut_to_their_origin() {
        for (referer, expected) in [
            ("https://gateway.example/any?x", "https://gateway.example"),
            ("HTTP://Gateway.Example:80/any", "HTTP://Gateway.Example:80"),
            ("http://10.0.0.1:8080/", "http://10.0.0.1:8080"),
            ("https://gateway.example\\any", "https://gateway.example"),
            ("https://other.example/object/x", "https://other.example"),
            (
                "https://other.example/a/%6fbject/x",
                "https://other.example",
            ),
            ("https://other.example/?a=/mine&b", "https://other.example"),
            ("https://mine/", ""),
            ("https://me@gateway.example/", ""),
            ("mine", ""),
            ("urn:%6Dine", ""),
        ] {
            assert_eq!(redacted(referer), expected, "{referer}");
        }
        for referer in [
            format!("https://a.example/{GENERATED}.jpg"),
            format!("https://a.example/?{GENERATED}"),
        ] {
            assert_eq!(redacted(&referer), "https://a.example", "{referer}");
        }
        assert_eq!(redacted(&format!("{GENERATED}:x")), "");
    }
}
