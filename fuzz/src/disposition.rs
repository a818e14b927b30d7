//! `Content-Disposition` (RFC 6266): no file name can become anything but a name.

use asset_gateway::http::objects::response::disposition;
use asset_gateway::media_type::MediaType;
use asset_gateway_backends::token_store::{Disposition, Method, TokenRecord};
use percent_encoding::percent_decode_str;

/// `data`: lines with the token's disposition (`i`, `a`, else none), the object's media type, its key, and
/// the file name, which may have several lines.
pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let mut lines = text.splitn(4, '\n');
    let mut line = || lines.next().unwrap_or_default();
    let (kind, media_type, key, filename) = (line(), line(), line(), line());
    let mut record = TokenRecord::new("local", key, Method::Get, 0, 1);
    record.filename = filename.to_owned();
    record.disposition = match kind {
        "i" => Some(Disposition::Inline),
        "a" => Some(Disposition::Attachment),
        _ => None,
    };
    let Some(media_type) = MediaType::parse(media_type) else {
        return;
    };
    let Some(value) = disposition(&record, &media_type) else {
        assert!(filename.is_empty() && record.disposition.is_none());
        return;
    };
    let value = value.to_str().expect("visible ASCII");
    let (written, names) = match value.split_once("; ") {
        Some((written, names)) => (written, Some(names)),
        None => (value, None),
    };
    match record.disposition {
        Some(Disposition::Inline) => assert_eq!(written, "inline"),
        Some(Disposition::Attachment) | None => assert_eq!(written, "attachment"),
    }
    let Some(names) = names else {
        return;
    };
    let (plain, encoded) = parse(names).unwrap_or_else(|| panic!("not two names: {value}"));
    let decoded = percent_decode_str(encoded).decode_utf8().expect("UTF-8");
    let name = match filename {
        "" => key.rsplit('/').next().unwrap_or_default(),
        name => name,
    };
    assert!(!decoded.contains(is_hidden), "{decoded:?}");
    // The decoded name has the characters of the name in order; missing ones are not letters.
    let mut letters = decoded.chars().peekable();
    for letter in name.chars() {
        let written = if matches!(letter, '/' | '\\') {
            '_'
        } else {
            letter
        };
        let kept = letters.next_if_eq(&written).is_some();
        assert!(
            kept || !letter.is_alphanumeric() || is_filler(letter),
            "{letter:?} is lost"
        );
    }
    assert_eq!(letters.next(), None);
    let ascii = |c: char| matches!(c, ' '..='~') && !matches!(c, '"' | '%');
    let expected: String = decoded
        .chars()
        .map(|c| if ascii(c) { c } else { '_' })
        .collect();
    assert_eq!(plain, expected);
}

/// Controls, including those of bidirectional text (UAX #9), and path separators.
fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '/' | '\\' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// Letters without a glyph.
fn is_filler(c: char) -> bool {
    matches!(c, '\u{115f}' | '\u{1160}' | '\u{3164}' | '\u{ffa0}')
}

/// Parses exactly `filename="…"; filename*=UTF-8''…`: the quoted text and the encoded text.
fn parse(names: &str) -> Option<(&str, &str)> {
    let (plain, rest) = names.strip_prefix("filename=\"")?.split_once('"')?;
    let encoded = rest.strip_prefix("; filename*=UTF-8''")?;
    // RFC 8187 §3.2.1.
    let value = |b: u8| b.is_ascii_alphanumeric() || b"!#$&+-.^_`|~%".contains(&b);
    (!plain.contains('\\') && encoded.bytes().all(value)).then_some((plain, encoded))
}
