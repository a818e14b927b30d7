//! The status and headers of a download: validators, caching, whether a browser may show it inline.

use std::ops::Range;

use asset_gateway_backends::object_backend::{Conditions, ObjectMeta};
use asset_gateway_backends::token_store::{Disposition, TokenId, TokenRecord};
use axum::body::Body;
use axum::response::Response;
use http::response::Builder;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::filename;
use crate::http::access_log::LoggedTokenId;
use crate::media_type::{MediaType, OCTET_STREAM};

/// Every character but the `attr-char`s of RFC 8187 §3.2.1.
const NOT_ATTR_CHAR: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'!')
    .remove(b'#')
    .remove(b'$')
    .remove(b'&')
    .remove(b'+')
    .remove(b'-')
    .remove(b'.')
    .remove(b'^')
    .remove(b'_')
    .remove(b'`')
    .remove(b'|')
    .remove(b'~');

/// 200 with the whole object, for the caller to add a body.
pub fn whole(record: &TokenRecord, meta: &ObjectMeta) -> Response<()> {
    build(StatusCode::OK, record, meta, meta.size, None)
}

/// 206 with `range` of the object.
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

/// 304. Storage does not repeat the entity tag; where the client sent a single one, that one matched.
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
    // Without a length the body is chunked.
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
        disposition(record, &content_type).map(|value| (header::CONTENT_DISPOSITION, value)),
    );
    // An uploaded file must not run scripts in the gateway's origin, even where a browser shows it because
    // the token says `inline`, or because its viewer ignores the disposition.
    if !content_type.is_inert() {
        headers.insert(
            header::CONTENT_SECURITY_POLICY,
            HeaderValue::from_static("sandbox; default-src 'none'"),
        );
    }
    response
}

/// The media type that the token or storage names. A value that is not one media type is replaced, because
/// browsers differ in how they read it; so is a multipart, whose parts they would take for responses.
fn media_type<'a>(record: &'a TokenRecord, meta: &'a ObjectMeta) -> MediaType<'a> {
    let named = record.content_type.as_deref();
    let named = named.or(meta.content_type.as_deref());
    let parsed = named.and_then(MediaType::parse);
    parsed
        .filter(|parsed| !parsed.is_multipart())
        .unwrap_or(OCTET_STREAM)
}

/// `Cache-Control`. A copy in a shared cache would serve downloads that no hit counts, or clients that the
/// token's rules refuse.
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

/// Inserts a value of storage, unless it is no valid header value.
fn put(headers: &mut HeaderMap, name: header::HeaderName, value: &str) {
    headers.extend(HeaderValue::from_str(value).ok().map(|value| (name, value)));
}

/// Adds the token's id for the access log.
pub fn about(mut response: Response, id: TokenId) -> Response {
    response.extensions_mut().insert(LoggedTokenId(id));
    response
}

/// An entity tag as header fields write it.
pub fn quoted(etag: &str) -> String {
    if etag.starts_with("W/") {
        etag.to_owned()
    } else {
        format!("\"{etag}\"")
    }
}

/// The `Content-Disposition` of a download (RFC 6266); `None` where nothing asks for one. A type that is
/// not inert is saved, unless the token says otherwise.
pub fn disposition(record: &TokenRecord, content_type: &MediaType<'_>) -> Option<HeaderValue> {
    let kind = match record.disposition {
        Some(Disposition::Inline) => "inline",
        Some(Disposition::Attachment) => "attachment",
        None if !record.filename.is_empty() || !content_type.is_inert() => "attachment",
        None => return None,
    };
    let name = match record.filename.as_str() {
        "" => record.key.rsplit('/').next().unwrap_or_default(),
        name => name,
    };
    // The name of a file, not a path (RFC 6266 §4.3 and appendix D), without invisible characters.
    let name = filename::remove_invisible(name).replace(['/', '\\'], "_");
    let value = if name.is_empty() {
        kind.to_owned()
    } else {
        let encoded = utf8_percent_encode(&name, NOT_ATTR_CHAR);
        format!(
            "{kind}; filename=\"{}\"; filename*=UTF-8''{encoded}",
            ascii_filename(&name)
        )
    };
    HeaderValue::from_str(&value).ok()
}

/// The name inside a quoted-string, for clients that do not read `filename*` (RFC 6266 appendix D): other
/// characters than ASCII become `_`, and so do those whose escapes old clients misread.
fn ascii_filename(name: &str) -> String {
    name.chars()
        .map(|c| match c {
            '"' | '%' => '_',
            ' '..='~' => c,
            _ => '_',
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use asset_gateway_backends::token_store::Method;

    fn value(filename: &str, disposition: Option<Disposition>, content_type: &str) -> String {
        let mut record = TokenRecord::new("b", "dir/key.bin", Method::Get, 0, 1);
        record.filename = filename.to_owned();
        record.disposition = disposition;
        super::disposition(&record, &MediaType::parse(content_type).unwrap())
            .map(|value| value.to_str().unwrap().to_owned())
            .unwrap_or_default()
    }

    #[test]
    fn a_disposition_has_an_ascii_name_and_an_encoded_one() {
        assert_eq!(
            value("report.pdf", None, "application/pdf"),
            "attachment; filename=\"report.pdf\"; filename*=UTF-8''report.pdf"
        );
        assert_eq!(
            value("报告 1.pdf", None, "application/pdf"),
            "attachment; filename=\"__ 1.pdf\"; filename*=UTF-8''%E6%8A%A5%E5%91%8A%201.pdf"
        );
        assert_eq!(value("", None, "application/pdf"), "");
    }

    #[test]
    fn a_name_cannot_leave_its_quotes() {
        assert_eq!(
            value("a\"; filename=\"evil.exe", None, "image/png"),
            "attachment; filename=\"a_; filename=_evil.exe\"; \
             filename*=UTF-8''a%22%3B%20filename%3D%22evil.exe"
        );
    }

    #[test]
    fn a_type_that_is_not_inert_is_an_attachment_unless_the_token_says_inline() {
        for active in [
            "text/html; charset=utf-8",
            "image/svg+xml",
            "text/xsl",
            "x/y",
        ] {
            assert!(value("", None, active).starts_with("attachment; filename=\"key.bin\""));
            assert!(value("", Some(Disposition::Inline), active).starts_with("inline"));
        }
        assert_eq!(value("", None, "text/plain"), "");
    }
}
