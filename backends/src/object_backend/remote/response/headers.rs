//! Headers of storage to metadata. A header that cannot be parsed is left out.

use std::time::{Duration, SystemTime};

use http::header::{
    CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_LENGTH, CONTENT_TYPE, ETAG,
    HeaderName, LAST_MODIFIED, RETRY_AFTER,
};
use http::{HeaderMap, HeaderValue};

use crate::object_backend::content_coding::for_readers;
use crate::object_backend::{MARKER, ObjectMeta};

/// The prefixes of user metadata, one for each provider.
const USER_METADATA_PREFIXES: [&str; 3] = ["x-amz-meta-", "x-cos-meta-", "x-oss-meta-"];

/// A longer `Retry-After` is cut to this.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(3600);

/// The metadata of an object of `size`.
pub fn object_meta(headers: &HeaderMap, size: Option<u64>) -> ObjectMeta {
    let codings = list(headers, &CONTENT_ENCODING);
    let meta = ObjectMeta {
        size,
        etag: etag(headers),
        last_modified: date(headers),
        content_type: single(headers, &CONTENT_TYPE).map(str::to_owned),
        cache_control: list(headers, &CACHE_CONTROL),
        content_encoding: codings.as_deref().and_then(for_readers),
        content_language: list(headers, &CONTENT_LANGUAGE),
        marker: marker(headers),
    };
    log_left_out(headers, &meta, codings.is_some());
    meta
}

/// Logs the headers that are not in `meta` because they cannot be parsed.
fn log_left_out(headers: &HeaderMap, meta: &ObjectMeta, codings_parsed: bool) {
    let parsed = [
        (ETAG, meta.etag.is_some()),
        (LAST_MODIFIED, meta.last_modified.is_some()),
        (CONTENT_TYPE, meta.content_type.is_some()),
        (CACHE_CONTROL, meta.cache_control.is_some()),
        (CONTENT_ENCODING, codings_parsed),
        (CONTENT_LANGUAGE, meta.content_language.is_some()),
    ];
    let is_left_out =
        |(name, is_parsed): &(HeaderName, bool)| !is_parsed && headers.contains_key(name);
    if parsed.iter().any(is_left_out) {
        let left_out = parsed.iter().filter(|one| is_left_out(one));
        let names: Vec<_> = left_out.map(|(name, _)| name.as_str()).collect();
        tracing::debug!(
            ?names,
            "headers of storage cannot be parsed and are left out"
        );
    }
}

/// The header's text, where the header occurs once, is ASCII and not empty.
pub fn single<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?;
    let text = value.to_str().ok()?.trim();
    (values.next().is_none() && !text.is_empty()).then_some(text)
}

/// A list that may be spread over several header lines (RFC 9110 §5.3). `None` where one of them cannot
/// be parsed.
fn list(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    let mut joined = String::new();
    for value in headers.get_all(name) {
        let text = value.to_str().ok()?.trim();
        if !text.is_empty() && !joined.is_empty() {
            joined.push_str(", ");
        }
        joined.push_str(text);
    }
    (!joined.is_empty()).then_some(joined)
}

/// As [`ObjectMeta::etag`]. Quotes may be missing. Between them must stand what RFC 9110 §8.8.3 allows, in
/// ASCII: otherwise no client could send the tag back.
pub fn etag(headers: &HeaderMap) -> Option<String> {
    let text = single(headers, &ETAG)?;
    let (weak, tag) = match text.strip_prefix("W/") {
        Some(tag) => (true, tag),
        None => (false, text),
    };
    let opaque = match tag.strip_prefix('"') {
        Some(rest) => rest.strip_suffix('"')?,
        None => tag,
    };
    let is_tag = |byte: u8| byte == b'!' || (b'#'..=b'~').contains(&byte);
    if opaque.is_empty() || !opaque.bytes().all(is_tag) {
        return None;
    }
    Some(match weak {
        true => format!("W/\"{opaque}\""),
        false => opaque.to_owned(),
    })
}

/// Any of the three date formats of RFC 9110 §5.6.7.
fn date(headers: &HeaderMap) -> Option<SystemTime> {
    httpdate::parse_http_date(single(headers, &LAST_MODIFIED)?).ok()
}

fn marker(headers: &HeaderMap) -> Option<String> {
    let is_marker = |name: &HeaderName| {
        let mut prefixes = USER_METADATA_PREFIXES.iter();
        prefixes.any(|prefix| name.as_str().strip_prefix(prefix) == Some(MARKER))
    };
    let (_, value) = headers.iter().find(|(name, _)| is_marker(name))?;
    let text = value.to_str().ok().filter(|text| !text.is_empty());
    text.map(str::to_owned)
}

/// HTML without an entity tag comes from a proxy: storage sends a tag with each object. An empty response
/// is no page.
pub fn is_proxy_page(headers: &HeaderMap) -> bool {
    is_html(headers) && etag(headers).is_none()
}

/// HTML with a body.
pub fn is_html(headers: &HeaderMap) -> bool {
    let is_html = |value: &HeaderValue| {
        let essence = value.as_bytes().split(|byte| *byte == b';').next();
        let essence = essence.unwrap_or_default().trim_ascii();
        essence.eq_ignore_ascii_case(b"text/html")
            || essence.eq_ignore_ascii_case(b"application/xhtml+xml")
    };
    headers.get_all(CONTENT_TYPE).iter().any(is_html)
        && headers
            .get(CONTENT_LENGTH)
            .is_none_or(|length| length.as_bytes() != b"0")
}

/// `Retry-After` (RFC 9110 §10.2.3).
pub fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    parse_retry_after(single(headers, &RETRY_AFTER)?)
}

/// Seconds, or a date as the time from now.
pub fn parse_retry_after(text: &str) -> Option<Duration> {
    let wait = match text.parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => {
            let when = httpdate::parse_http_date(text).ok()?;
            when.duration_since(SystemTime::now()).unwrap_or_default()
        }
    };
    Some(wait.min(MAX_RETRY_AFTER))
}
