//! Request id, client address and caller of a request, known before its handler runs.
//!
//! The `Referer` header is redacted for events and logs: it may contain a URL with a token.

use std::borrow::Cow;

use asset_gateway_backends::caller::CallerRef;
use asset_gateway_backends::client_address::ClientAddress;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use percent_encoding::percent_decode_str;

use crate::tokens::TokenSecret;
use crate::tokens::redeem::Client;

pub static X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Length of generated tokens.
const GENERATED_TOKEN_LENGTH: usize = 28;
/// Levels of percent-encoding that are decoded, for links within links.
const MAX_DECODINGS: usize = 4;
/// Path segments that precede a token.
const TOKEN_PREFIX_SEGMENTS: [&str; 3] = ["object", "u", "token"];

/// Request extension, added by [`super::access_log`].
#[derive(Debug, Clone)]
pub struct RequestContext {
    /// Visible ASCII.
    pub request_id: HeaderValue,
    /// The address that [`super::forwarded`] finds.
    pub client_ip: ClientAddress,
}

impl RequestContext {
    pub fn request_id(&self) -> &str {
        self.request_id.to_str().unwrap_or_default()
    }

    /// The client of a request for `token`. Headers that are not text count as empty. `public_base` is the
    /// base of the URLs that the gateway hands out.
    pub fn client<'a>(
        &'a self,
        headers: &'a HeaderMap,
        public_base: &str,
        token: &TokenSecret,
    ) -> Client<'a> {
        let text = |name| {
            headers
                .get(name)
                .and_then(|value: &HeaderValue| value.to_str().ok())
                .unwrap_or_default()
        };
        let referer = text(http::header::REFERER);
        let own = [authority(public_base), text(http::header::HOST)];
        Client {
            caller: CallerRef {
                request_id: self.request_id(),
                client_ip: self.client_ip,
                user_agent: text(http::header::USER_AGENT),
                referer: redact_referer(referer, &own, token.expose()),
                range: text(http::header::RANGE),
            },
            referer,
        }
    }
}

/// Host and port of a URL.
fn authority(url: &str) -> &str {
    let after = url.split_once("://").map_or(url, |(_, after)| after);
    after.split('/').next().unwrap_or_default()
}

/// `referer`, or only its origin if it is a page of `own` (authorities, without a scheme), or contains
/// `token` or text in a token's form. Empty if the origin contains such text.
fn redact_referer<'a>(referer: &'a str, own: &[&str], token: &str) -> &'a str {
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

/// The caller's `X-Request-Id` if it has 1 to 128 visible ASCII characters, else a UUID.
pub fn request_id(headers: &HeaderMap) -> HeaderValue {
    match headers.get(&X_REQUEST_ID) {
        Some(id)
            if (1..=128).contains(&id.len()) && id.as_bytes().iter().all(u8::is_ascii_graphic) =>
        {
            id.clone()
        }
        Some(_) | None => {
            let mut id = [0; uuid::fmt::Hyphenated::LENGTH];
            let id = uuid::Uuid::new_v4().hyphenated().encode_lower(&mut id);
            // A UUID is visible ASCII.
            HeaderValue::from_str(id).unwrap_or(HeaderValue::from_static("none"))
        }
    }
}

/// The method as a metric label; `other` for unknown methods.
pub fn method_label(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "PUT" => "PUT",
        "POST" => "POST",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        "OPTIONS" => "OPTIONS",
        _ => "other",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in lines {
            map.append(*name, value.parse().unwrap());
        }
        map
    }

    #[test]
    fn valid_request_ids_are_kept_and_others_replaced() {
        let keep = request_id(&headers(&[("x-request-id", "abc-1")]));
        assert_eq!(keep, "abc-1");
        for bad in ["", "has space", &"x".repeat(129)] {
            let made = request_id(&headers(&[("x-request-id", bad)]));
            assert_eq!(made.len(), 36, "{bad}");
        }
    }

    const GENERATED: &str = "AbCdEfGhIjKlMnOpQrStUvWxYz-_";

    fn redacted(referer: &str) -> &str {
        redact_referer(referer, &["gateway.example", "10.0.0.1:8080", ""], "mine")
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
