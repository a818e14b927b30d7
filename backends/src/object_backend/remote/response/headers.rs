//! Headers of storage, read leniently: one that cannot be read is left out.

use std::time::{Duration, SystemTime};

use http::header::{
    CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_LENGTH, CONTENT_TYPE, ETAG,
    HeaderName, LAST_MODIFIED, RETRY_AFTER,
};
use http::{HeaderMap, HeaderValue};

use crate::object_backend::content_coding::for_readers;
use crate::object_backend::{MARKER, ObjectMeta};

/// What providers put before the names of what users keep with an object.
const USER_METADATA: [&str; 3] = ["x-amz-meta-", "x-cos-meta-", "x-oss-meta-"];

/// The longest wait that is believed.
const LONGEST_WAIT: Duration = Duration::from_secs(3600);

/// What the headers say of an object of `size`.
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

/// What came and is not in `meta`, because it cannot be read.
fn log_left_out(headers: &HeaderMap, meta: &ObjectMeta, codings_read: bool) {
    let kept = [
        (ETAG, meta.etag.is_some()),
        (LAST_MODIFIED, meta.last_modified.is_some()),
        (CONTENT_TYPE, meta.content_type.is_some()),
        (CACHE_CONTROL, meta.cache_control.is_some()),
        (CONTENT_ENCODING, codings_read),
        (CONTENT_LANGUAGE, meta.content_language.is_some()),
    ];
    let is_left_out = |(name, kept): &(HeaderName, bool)| !kept && headers.contains_key(name);
    if kept.iter().any(is_left_out) {
        let left_out = kept.iter().filter(|one| is_left_out(one));
        let names: Vec<_> = left_out.map(|(name, _)| name.as_str()).collect();
        tracing::debug!(?names, "headers of storage cannot be read and are left out");
    }
}

/// The header's text where it came once, is not empty and is ASCII.
pub fn single<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?;
    let text = value.to_str().ok()?.trim();
    (values.next().is_none() && !text.is_empty()).then_some(text)
}

/// A list that may stand on several lines (RFC 9110 §5.3). One line that cannot be read could say
/// anything: then none is.
fn list(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    let mut whole = String::new();
    for value in headers.get_all(name) {
        let text = value.to_str().ok()?.trim();
        if !text.is_empty() && !whole.is_empty() {
            whole.push_str(", ");
        }
        whole.push_str(text);
    }
    (!whole.is_empty()).then_some(whole)
}

/// As [`ObjectMeta::etag`]. Quotes may be missing; what stands between them must be what RFC 9110
/// §8.8.3 allows, in ASCII, or nobody could send it back.
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

/// Each of the three forms of RFC 9110 §5.6.7.
fn date(headers: &HeaderMap) -> Option<SystemTime> {
    httpdate::parse_http_date(single(headers, &LAST_MODIFIED)?).ok()
}

fn marker(headers: &HeaderMap) -> Option<String> {
    let is_marker = |name: &HeaderName| {
        let mut prefixes = USER_METADATA.iter();
        prefixes.any(|prefix| name.as_str().strip_prefix(prefix) == Some(MARKER))
    };
    let (_, value) = headers.iter().find(|(name, _)| is_marker(name))?;
    let text = value.to_str().ok().filter(|text| !text.is_empty());
    text.map(str::to_owned)
}

/// HTML without an entity tag: storage sends one with each object, so that this is of somebody in
/// between. An empty answer is no page.
pub fn is_page(headers: &HeaderMap) -> bool {
    is_html(headers) && etag(headers).is_none()
}

/// HTML that is not empty.
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

/// When storage asks to be asked again (RFC 9110 §10.2.3).
pub fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    wait(single(headers, &RETRY_AFTER)?)
}

/// Seconds or a date, from now.
pub fn wait(text: &str) -> Option<Duration> {
    let wait = match text.parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => {
            let when = httpdate::parse_http_date(text).ok()?;
            when.duration_since(SystemTime::now()).unwrap_or_default()
        }
    };
    Some(wait.min(LONGEST_WAIT))
}
