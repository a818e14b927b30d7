//! The `Referer` as events and logs may keep it: a link stands in none.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

/// Characters of a token that the gateway makes.
const MADE_TOKEN_LENGTH: usize = 28;
/// A link in a link in a link is decoded; what is deeper is no link that anybody follows.
const MAX_DECODINGS: usize = 4;
/// Segments of a path after which a token follows.
const BEFORE_TOKENS: [&str; 3] = ["object", "u", "token"];

/// `referer`, or only its origin where it is a page of `own` (authorities, without a scheme), or has
/// `token` in it, or something that has a token's form. Empty where even the origin has it.
pub fn without_link<'a>(referer: &'a str, own: &[&str], token: &str) -> &'a str {
    let Some((scheme, after)) = referer.split_once("://") else {
        return if holds_link(referer, token) {
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
    if !is_own() && !holds_link(&referer[scheme.len()..], token) {
        return referer;
    }
    if authority.contains('@') || holds_link(authority, token) {
        return "";
    }
    origin
}

/// Without the scheme's own port, as a base URL has none.
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

fn holds_link(text: &str, token: &str) -> bool {
    let mut text = Cow::Borrowed(text);
    for _ in 0..MAX_DECODINGS {
        if names_token(&text, token) {
            return true;
        }
        if !text.contains('%') {
            return false;
        }
        let decoded = percent_decode_str(&text).decode_utf8_lossy().into_owned();
        text = Cow::Owned(decoded);
    }
    names_token(&text, token)
}

fn names_token(text: &str, token: &str) -> bool {
    let is_made = |word: &str| word.len() == MADE_TOKEN_LENGTH && word.is_ascii();
    // Words of what a custom token may have.
    let mut words = text.split(|c: char| !c.is_ascii_alphanumeric() && !"-_.~".contains(c));
    if words.any(|word| word == token) {
        return true;
    }
    let mut words = text.split(|c: char| !c.is_ascii_alphanumeric() && !"-_".contains(c));
    if words.any(is_made) {
        return true;
    }
    let path = text.split(['?', '#']).next().unwrap_or_default();
    let mut segments = path.split('/').peekable();
    while let Some(segment) = segments.next() {
        let follows = segments.peek().is_some_and(|next| !next.is_empty());
        if follows && BEFORE_TOKENS.contains(&segment) {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    const MADE: &str = "AbCdEfGhIjKlMnOpQrStUvWxYz-_";

    fn kept(referer: &str) -> &str {
        without_link(referer, &["gateway.example", "10.0.0.1:8080", ""], "mine")
    }

    #[test]
    fn pages_of_others_stay() {
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
            assert_eq!(kept(page), page);
        }
    }

    #[test]
    fn links_go() {
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
            assert_eq!(kept(referer), expected, "{referer}");
        }
        for referer in [
            format!("https://a.example/{MADE}.jpg"),
            format!("https://a.example/?{MADE}"),
        ] {
            assert_eq!(kept(&referer), "https://a.example", "{referer}");
        }
        assert_eq!(kept(&format!("{MADE}:x")), "");
    }
}
