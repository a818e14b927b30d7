//! How a browser is to treat a download.

use asset_gateway_backends::token_store::{Disposition, TokenRecord};
use http::HeaderValue;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::filename;
use crate::media_type::MediaType;

/// All but the `attr-char`s of RFC 8187 §3.2.1.
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

/// The `Content-Disposition` of a download; `None` where nothing asks for one.
/// What is not inert is saved, unless the token says otherwise.
pub fn of(record: &TokenRecord, content_type: &MediaType<'_>) -> Option<HeaderValue> {
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
    // A name and no path (RFC 6266 §4.3 and appendix D); of what people see.
    let name = filename::visible(name).replace(['/', '\\'], "_");
    let value = if name.is_empty() {
        kind.to_owned()
    } else {
        let encoded = utf8_percent_encode(&name, NOT_ATTR_CHAR);
        format!(
            "{kind}; filename=\"{}\"; filename*=UTF-8''{encoded}",
            ascii(&name)
        )
    };
    HeaderValue::from_str(&value).ok()
}

/// A quoted-string's inside for clients that know no better (RFC 6266 appendix D): other characters
/// become `_`, and so do those whose escapes old clients read wrongly.
fn ascii(name: &str) -> String {
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
        of(&record, &MediaType::parse(content_type).unwrap())
            .map(|value| value.to_str().unwrap().to_owned())
            .unwrap_or_default()
    }

    #[test]
    fn as_the_first_gateway_wrote_it() {
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
    fn quotes_cannot_be_left() {
        assert_eq!(
            value("a\"; filename=\"evil.exe", None, "image/png"),
            "attachment; filename=\"a_; filename=_evil.exe\"; \
             filename*=UTF-8''a%22%3B%20filename%3D%22evil.exe"
        );
    }

    #[test]
    fn what_is_not_inert_is_an_attachment_unless_the_token_says_inline() {
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
