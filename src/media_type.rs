//! Strict parser for media types, and the list of inert ones, which a browser may show.
//!
//! Browsers parse `Content-Type` in different ways: of `text/plain, text/html` Chromium takes the last
//! type, Safari the first. So text that is not exactly one media type is refused in requests and not
//! repeated in answers.

/// The longest accepted media type. RFC 6838 §4.2 gives type and subtype 127 bytes each.
pub const MAX_BYTES: usize = 255;

/// The type of objects without a valid type.
pub const OCTET_STREAM: MediaType<'static> = MediaType {
    text: "application/octet-stream",
    essence_length: "application/octet-stream".len(),
    has_quoted_pair: false,
};

/// One media type with its parameters, as RFC 9110 §8.3.1 writes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MediaType<'a> {
    text: &'a str,
    /// Bytes of `type/subtype`.
    essence_length: usize,
    has_quoted_pair: bool,
}

impl<'a> MediaType<'a> {
    /// `None`: `text` is not one media type, that is a type, a subtype, and any number of parameters with a
    /// value each (RFC 9110 §8.3.1 and §5.6.6). Wildcards, characters beyond ASCII and texts longer than
    /// [`MAX_BYTES`] are refused.
    pub fn parse(text: &'a str) -> Option<Self> {
        if text.len() > MAX_BYTES {
            return None;
        }
        let (kind, rest) = take_token(text)?;
        let (subtype, rest) = take_token(rest.strip_prefix('/')?)?;
        if kind == "*" || subtype == "*" {
            return None;
        }
        Some(Self {
            text,
            essence_length: text.len() - rest.len(),
            has_quoted_pair: check_parameters(rest)?,
        })
    }

    /// The text as sent.
    pub fn as_str(&self) -> &'a str {
        self.text
    }

    /// `type/subtype` as it was sent, without the parameters.
    pub fn essence(&self) -> &'a str {
        &self.text[..self.essence_length]
    }

    /// Whether type and subtype are equal, without case and parameters.
    pub fn is_same_essence(&self, other: &MediaType<'_>) -> bool {
        self.essence().eq_ignore_ascii_case(other.essence())
    }

    /// Whether this is a multipart type, which no file has. Browsers read the parts of
    /// `multipart/x-mixed-replace` as answers of the server.
    pub fn is_multipart(&self) -> bool {
        let kind = self.essence().split('/').next().unwrap_or_default();
        kind.eq_ignore_ascii_case("multipart")
    }

    /// Whether a browser can show the object without running any of it in the gateway's origin. A type
    /// with a quoted pair is not inert, because parsers differ about the end of its value.
    pub fn is_inert(&self) -> bool {
        let lower = || self.essence().bytes().map(|byte| byte.to_ascii_lowercase());
        !self.has_quoted_pair
            && INERT
                .binary_search_by(|inert| inert.bytes().cmp(lower()))
                .is_ok()
    }
}

/// Raster images, audio, video, fonts, plain text, JSON, PDF, archives, bytes. In ASCII order.
const INERT: &[&str] = &[
    "application/gzip",
    "application/json",
    "application/octet-stream",
    "application/ogg",
    "application/pdf",
    "application/vnd.ms-fontobject",
    "application/vnd.rar",
    "application/x-7z-compressed",
    "application/x-bzip",
    "application/x-bzip2",
    "application/x-gzip",
    "application/x-rar-compressed",
    "application/x-tar",
    "application/x-xz",
    "application/x-zip-compressed",
    "application/zip",
    "application/zstd",
    "audio/3gpp",
    "audio/aac",
    "audio/ac3",
    "audio/aiff",
    "audio/amr",
    "audio/basic",
    "audio/flac",
    "audio/midi",
    "audio/mp3",
    "audio/mp4",
    "audio/mpeg",
    "audio/ogg",
    "audio/opus",
    "audio/wav",
    "audio/wave",
    "audio/webm",
    "audio/x-aiff",
    "audio/x-flac",
    "audio/x-m4a",
    "audio/x-wav",
    "font/collection",
    "font/otf",
    "font/sfnt",
    "font/ttf",
    "font/woff",
    "font/woff2",
    "image/apng",
    "image/avif",
    "image/bmp",
    "image/gif",
    "image/heic",
    "image/heif",
    "image/jpeg",
    "image/jpg",
    "image/jxl",
    "image/pjpeg",
    "image/png",
    "image/tiff",
    "image/vnd.microsoft.icon",
    "image/webp",
    "image/x-icon",
    "image/x-ms-bmp",
    "text/plain",
    "video/3gpp",
    "video/3gpp2",
    "video/mp2t",
    "video/mp4",
    "video/mpeg",
    "video/ogg",
    "video/quicktime",
    "video/webm",
    "video/x-flv",
    "video/x-m4v",
    "video/x-matroska",
    "video/x-ms-wmv",
    "video/x-msvideo",
];

/// A token of RFC 9110 §5.6.2 and what follows it.
fn take_token(text: &str) -> Option<(&str, &str)> {
    let end = text.bytes().position(|byte| !is_token_byte(byte));
    let (token, rest) = text.split_at(end.unwrap_or(text.len()));
    (!token.is_empty()).then_some((token, rest))
}

/// `tchar` of RFC 9110 §5.6.2.
pub(crate) fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// Parses `*( OWS ";" OWS [ token "=" ( token / quoted-string ) ] )`. Returns whether a value has a quoted
/// pair; `None` for other text.
fn check_parameters(mut rest: &str) -> Option<bool> {
    let skip_spaces = |text: &str| text.len() - text.trim_start_matches([' ', '\t']).len();
    let mut has_quoted_pair = false;
    while !rest.is_empty() {
        rest = rest[skip_spaces(rest)..].strip_prefix(';')?;
        rest = &rest[skip_spaces(rest)..];
        if rest.is_empty() || rest.starts_with(';') {
            continue;
        }
        let (_, value) = take_token(rest)?;
        let value = value.strip_prefix('=')?;
        rest = match value.strip_prefix('"') {
            None => take_token(value)?.1,
            Some(inside) => {
                let quoted = take_quoted(inside)?;
                has_quoted_pair |= quoted.has_pair;
                quoted.rest
            }
        };
    }
    Some(has_quoted_pair)
}

struct Quoted<'a> {
    rest: &'a str,
    has_pair: bool,
}

/// What follows a quoted-string (RFC 9110 §5.6.4); `inside` begins after the opening quote.
fn take_quoted(inside: &str) -> Option<Quoted<'_>> {
    let mut bytes = inside.bytes().enumerate();
    let mut has_pair = false;
    while let Some((at, byte)) = bytes.next() {
        match byte {
            b'"' => {
                let rest = &inside[at + 1..];
                return Some(Quoted { rest, has_pair });
            }
            b'\\' => {
                has_pair = true;
                bytes.next().filter(|(_, byte)| is_text_byte(*byte))?;
            }
            byte if is_text_byte(byte) => {}
            _ => return None,
        }
    }
    None
}

/// Visible ASCII, space and tab.
fn is_text_byte(byte: u8) -> bool {
    byte == b'\t' || (b' '..=b'~').contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn one_type_with_parameters_is_parsed() {
        for (text, essence) in [
            ("text/html", "text/html"),
            ("Text/HTML;charset=utf-8", "Text/HTML"),
            ("text/html;", "text/html"),
            ("text/html ;; \t; a=b ; ", "text/html"),
            ("video/mp4; codecs=\"a, b;c\"", "video/mp4"),
            ("a/b;x=\"\\\"\\\\\"", "a/b"),
            ("application/vnd.a+b.c-d_e", "application/vnd.a+b.c-d_e"),
        ] {
            let parsed = MediaType::parse(text);
            assert_eq!(
                parsed.map(|parsed| parsed.essence()),
                Some(essence),
                "{text}"
            );
            assert_eq!(parsed.map(|parsed| parsed.as_str()), Some(text));
        }
    }

    #[test]
    fn text_that_is_not_one_type_is_refused() {
        let long = format!("text/{}", "x".repeat(MAX_BYTES));
        for text in [
            "",
            "/",
            "text",
            "text/",
            "/html",
            "text/html,",
            "text/html, text/plain",
            " text/html",
            "text/html ",
            "text/html\t;x",
            "text/html; x",
            "text/html; x=",
            "text/html; =x",
            "text/html; x =y",
            "text/html; x= y",
            "text/html; x=\"y",
            "text/html; x=\"y\"z",
            "text/html; x=y z",
            "text/html(x)",
            "text/html\n",
            "text/html\0",
            "t\u{e9}xt/html",
            "text/html; x=\"\u{e9}\"",
            "text/html; x=\"\\\u{e9}\"",
            "*/*",
            "text/*",
            "*/html",
            long.as_str(),
        ] {
            assert_eq!(MediaType::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn the_inert_list_is_sorted_and_valid() {
        assert!(INERT.is_sorted());
        for text in INERT {
            let parsed = MediaType::parse(text).unwrap();
            assert!(parsed.is_inert() && !parsed.is_multipart());
            assert!(MediaType::parse(&text.to_uppercase()).unwrap().is_inert());
            // Browsers read these suffixes as XML (MIME Sniffing §4.6).
            assert!(!text.ends_with("+xml") && !text.ends_with("/xml"));
        }
        assert!(OCTET_STREAM.is_inert());
        assert_eq!(MediaType::parse(OCTET_STREAM.as_str()), Some(OCTET_STREAM));
        assert!(MediaType::parse("Multipart/mixed").unwrap().is_multipart());
        assert!(
            !MediaType::parse("text/plain;a=\"\\\"\"")
                .unwrap()
                .is_inert()
        );
    }

    /// Counts the members of a list as browsers split it: at commas outside quoted strings.
    fn members(text: &str) -> usize {
        let (mut quoted, mut escaped, mut count) = (false, false, 1);
        for c in text.chars() {
            match c {
                _ if escaped => escaped = false,
                '\\' if quoted => escaped = true,
                '"' => quoted = !quoted,
                ',' if !quoted => count += 1,
                _ => {}
            }
        }
        count
    }

    proptest! {
        #[test]
        fn parsed_text_is_one_ascii_list_member(text in "(text|image)[/ ,]{1,2}[a-z*]{0,4}[ \t;,=\"\\\\a-zé]{0,12}") {
            if let Some(parsed) = MediaType::parse(&text) {
                prop_assert_eq!(members(&text), 1);
                prop_assert!(text.is_ascii());
                // Chromium's end of the essence.
                let end = text.find([' ', '\t', ';', '(']).unwrap_or(text.len());
                prop_assert_eq!(parsed.essence(), &text[..end]);
            }
        }

        #[test]
        fn nothing_panics(text in any::<String>()) {
            let _ = MediaType::parse(&text).map(|parsed| parsed.is_inert());
        }
    }
}
