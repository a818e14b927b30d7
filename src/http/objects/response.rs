//! The headers of a download.

use std::ops::Range;

use asset_gateway_backends::object_backend::{Conditions, ObjectMeta};
use asset_gateway_backends::token_store::TokenRecord;
use axum::body::Body;
use axum::response::Response;
use http::response::Builder;
use http::{HeaderMap, HeaderValue, StatusCode, header};

use super::disposition;
use crate::media_type::{MediaType, OCTET_STREAM};

/// 200 with the whole object; the body is the caller's, and its length may be unknown.
pub fn whole(record: &TokenRecord, meta: &ObjectMeta) -> Response<()> {
    build(StatusCode::OK, record, meta, meta.size, None)
}

/// 206 with `range` of it.
pub fn partial(record: &TokenRecord, meta: &ObjectMeta, range: &Range<u64>) -> Response<()> {
    let total = meta.size.map_or("*".to_owned(), |size| size.to_string());
    let content_range = format!("bytes {}-{}/{total}", range.start, range.end - 1);
    build(
        StatusCode::PARTIAL_CONTENT,
        record,
        meta,
        Some(range.end - range.start),
        HeaderValue::try_from(content_range).ok(),
    )
}

/// 304. Storage does not repeat the entity tag; where the client named one, it is that one.
pub fn not_modified(record: &TokenRecord, conditions: &Conditions) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NOT_MODIFIED;
    let headers = response.headers_mut();
    let named = conditions.if_none_match.as_deref();
    if let Some(etag) = named.filter(|tags| *tags != "*" && !tags.contains(',')) {
        put(headers, header::ETAG, etag);
    }
    put(headers, header::CACHE_CONTROL, cache_control(record, None));
    response
}

fn build(
    status: StatusCode,
    record: &TokenRecord,
    meta: &ObjectMeta,
    length: Option<u64>,
    content_range: Option<HeaderValue>,
) -> Response<()> {
    let content_type = media_type(record, meta);
    let mut response = Builder::new().status(status).body(()).unwrap_or_default();
    let headers = response.headers_mut();
    // Without one the body goes in chunks.
    headers.extend(length.map(|length| (header::CONTENT_LENGTH, HeaderValue::from(length))));
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_str(content_type.as_str())
            .unwrap_or(HeaderValue::from_static(OCTET_STREAM.as_str())),
    );
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers.extend(content_range.map(|value| (header::CONTENT_RANGE, value)));
    if let Some(etag) = &meta.etag {
        put(headers, header::ETAG, &quoted(etag));
    }
    if let Some(modified) = meta.last_modified {
        put(
            headers,
            header::LAST_MODIFIED,
            &httpdate::fmt_http_date(modified),
        );
    }
    if let Some(encoding) = &meta.content_encoding {
        put(headers, header::CONTENT_ENCODING, encoding);
    }
    if let Some(language) = &meta.content_language {
        put(headers, header::CONTENT_LANGUAGE, language);
    }
    put(
        headers,
        header::CACHE_CONTROL,
        cache_control(record, meta.cache_control.as_deref()),
    );
    headers.extend(
        disposition::of(record, &content_type).map(|value| (header::CONTENT_DISPOSITION, value)),
    );
    // What one person uploads must not run as part of the gateway's origin, also where it is shown in
    // place of being saved: the token says `inline`, or the browser's reader does not save.
    if !content_type.is_inert() {
        headers.insert(
            header::CONTENT_SECURITY_POLICY,
            HeaderValue::from_static("sandbox; default-src 'none'"),
        );
    }
    response
}

/// The type that the token or storage names. What is not one media type is not repeated, for browsers
/// read it each in their own way; nor is a multipart, whose parts they would read as answers of ours.
fn media_type<'a>(record: &'a TokenRecord, meta: &'a ObjectMeta) -> MediaType<'a> {
    let named = record.content_type.as_deref();
    let named = named.or(meta.content_type.as_deref());
    let parsed = named.and_then(MediaType::parse);
    parsed
        .filter(|parsed| !parsed.is_multipart())
        .unwrap_or(OCTET_STREAM)
}

/// A copy in a shared cache would be a hit that nobody counts, or one for clients whom a rule of the
/// token keeps out.
fn cache_control<'a>(record: &TokenRecord, stored: Option<&'a str>) -> &'a str {
    let no_store = "private, no-store";
    let has_rules = !record.allowed_ips.is_empty()
        || !record.allowed_referers.is_empty()
        || record.not_before.is_some();
    match (record.max_hits, stored) {
        (Some(_), _) => no_store,
        (None, Some(stored)) if has_rules && forbids_storing(stored) => no_store,
        (None, Some(stored)) if !has_rules => stored,
        (None, Some(_) | None) => "private",
    }
}

fn forbids_storing(cache_control: &str) -> bool {
    let mut directives = cache_control.split(',').map(str::trim);
    directives.any(|directive| directive.eq_ignore_ascii_case("no-store"))
}

/// Storage's values are not ours: one that is no header value is left out.
fn put(headers: &mut HeaderMap, name: header::HeaderName, value: &str) {
    headers.extend(HeaderValue::from_str(value).ok().map(|value| (name, value)));
}

/// An entity tag as headers write it.
pub fn quoted(etag: &str) -> String {
    if etag.starts_with("W/") {
        etag.to_owned()
    } else {
        format!("\"{etag}\"")
    }
}
