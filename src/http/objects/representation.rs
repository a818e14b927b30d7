//! Representation headers of an upload: `Content-Type`, `Content-Encoding`, `Content-Language`.
//!
//! A value is stored with the object or refused, never dropped.

use asset_gateway_backends::object_backend::{AWS_CHUNKED, Capabilities, PutOptions};
use asset_gateway_backends::token_store::TokenRecord;
use http::{HeaderMap, HeaderName, header};

use crate::error::GatewayError;
use crate::http::headers::{list, single};
use crate::media_type::{self, MediaType};

static AMZ_CONTENT_SHA256: HeaderName = HeaderName::from_static("x-amz-content-sha256");
static AMZ_DECODED_LENGTH: HeaderName = HeaderName::from_static("x-amz-decoded-content-length");
/// Longest `Content-Encoding` or `Content-Language`: extended attributes of files are small.
const MAX_BYTES: usize = 255;

/// Reads the headers into the options of the upload. Refuses a type that the token does not take, a header
/// that the bucket cannot store, aws-chunked framing and multipart bodies: the body is the file.
pub fn read(
    headers: &HeaderMap,
    record: &TokenRecord,
    bucket: Capabilities,
) -> Result<PutOptions, GatewayError> {
    refuse_framing(headers)?;
    let options = PutOptions {
        content_type: accept_type(record, single(headers, &header::CONTENT_TYPE)?)?,
        content_encoding: codings(headers)?,
        content_language: languages(headers)?,
        ..PutOptions::default()
    };
    let refuse = |name| {
        Err(GatewayError::UnsupportedMediaType(format!(
            "this bucket cannot keep {name}: send the file without it"
        )))
    };
    if options.content_encoding.is_some() && !bucket.content_encoding {
        return refuse("Content-Encoding");
    }
    if options.content_language.is_some() && !bucket.content_language {
        return refuse("Content-Language");
    }
    Ok(options)
}

/// Refuses a body that an S3 client has framed as signed chunks, whose headers would become part of the
/// object.
fn refuse_framing(headers: &HeaderMap) -> Result<(), GatewayError> {
    let signature = headers
        .get(&AMZ_CONTENT_SHA256)
        .map(|value| value.as_bytes());
    let is_streaming = signature.is_some_and(|value| {
        let scheme = value.split(|byte| *byte == b'-').next();
        scheme.is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"STREAMING"))
    });
    if is_streaming || headers.contains_key(&AMZ_DECODED_LENGTH) {
        return Err(framed());
    }
    Ok(())
}

fn framed() -> GatewayError {
    GatewayError::UnsupportedMediaType(
        "the body is framed for S3 (aws-chunked): send the file itself as the body, without an S3 client"
            .into(),
    )
}

/// The media type to store: the client's where the token takes it, else the token's.
fn accept_type(record: &TokenRecord, sent: Option<&str>) -> Result<Option<String>, GatewayError> {
    let wanted = record.content_type.as_deref();
    let Some(sent) = sent else {
        return Ok(wanted.map(str::to_owned));
    };
    let parsed = MediaType::parse(sent);
    if let Some(wanted) = wanted {
        let is_wanted = parsed.is_some_and(|sent| {
            MediaType::parse(wanted).is_some_and(|wanted| wanted.is_same_essence(&sent))
        });
        if !is_wanted {
            return Err(GatewayError::UnsupportedMediaType(format!(
                "this token takes only {wanted}"
            )));
        }
    }
    match parsed {
        None => Err(GatewayError::UnsupportedMediaType(format!(
            "Content-Type must be one media type such as image/png, of at most {} bytes",
            media_type::MAX_BYTES
        ))),
        Some(parsed) if parsed.is_multipart() => Err(GatewayError::UnsupportedMediaType(
            "a form or another multipart body is not taken here: send the file itself as the body \
             (curl -T FILE) with its own Content-Type"
                .into(),
        )),
        Some(_) => Ok(Some(sent.to_owned())),
    }
}

/// The content codings in the order in which they were applied (RFC 9110 §8.4), without `identity`.
fn codings(headers: &HeaderMap) -> Result<Option<String>, GatewayError> {
    let Some(sent) = list(headers, &header::CONTENT_ENCODING)? else {
        return Ok(None);
    };
    let codings = elements(&sent).filter(|coding| !coding.eq_ignore_ascii_case("identity"));
    let codings: Vec<&str> = codings.collect();
    if codings
        .iter()
        .any(|coding| coding.eq_ignore_ascii_case(AWS_CHUNKED))
    {
        return Err(framed());
    }
    let is_coding = |coding: &&str| coding.bytes().all(media_type::is_token_byte);
    if !codings.iter().all(is_coding) || sent.len() > MAX_BYTES {
        return Err(GatewayError::UnsupportedMediaType(format!(
            "Content-Encoding must be a list of codings such as gzip, of at most {MAX_BYTES} bytes"
        )));
    }
    Ok(joined(&codings))
}

/// The language tags (RFC 9110 §8.5), checked for their characters: letters, digits, hyphens.
fn languages(headers: &HeaderMap) -> Result<Option<String>, GatewayError> {
    let Some(sent) = list(headers, &header::CONTENT_LANGUAGE)? else {
        return Ok(None);
    };
    let languages: Vec<&str> = elements(&sent).collect();
    let is_tag = |tag: &&str| tag.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    if !languages.iter().all(is_tag) || sent.len() > MAX_BYTES {
        return Err(GatewayError::BadRequest(format!(
            "Content-Language must be a list of language tags such as en-GB, of at most {MAX_BYTES} bytes"
        )));
    }
    Ok(joined(&languages))
}

/// The elements of a list, without empty ones (RFC 9110 §5.6.1.2).
fn elements(list: &str) -> impl Iterator<Item = &str> {
    let elements = list
        .split(',')
        .map(|element| element.trim_matches([' ', '\t']));
    elements.filter(|element| !element.is_empty())
}

fn joined(elements: &[&str]) -> Option<String> {
    (!elements.is_empty()).then(|| elements.join(", "))
}
