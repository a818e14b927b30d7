//! Media types: an inert type is inert for the most lenient reader, too.

use asset_gateway::media_type::MediaType;

/// Parts of types that a browser runs, or splits, in the origin of the answer.
const ACTIVE: [&str; 6] = ["html", "xml", "xsl", "javascript", "multipart", "message"];

/// `data`: the value of a `Content-Type`.
pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let Some(parsed) = MediaType::parse(text) else {
        return;
    };
    assert_eq!(parsed.as_str(), text);
    // The text is a header value that parses to the same type.
    let value = http::HeaderValue::from_str(text).expect("visible ASCII");
    let again = value.to_str().ok().and_then(MediaType::parse);
    assert!(again.is_some_and(|again| again == parsed));
    let essence = parsed.essence().to_ascii_lowercase();
    assert_eq!(essence.matches('/').count(), 1);
    if !parsed.is_inert() {
        return;
    }
    for escapes in [false, true] {
        for element in elements(text, escapes) {
            let essence = lenient(element);
            let active = ACTIVE.iter().any(|active| essence.contains(active));
            assert!(!active, "{text:?} is inert, and {essence:?} to a browser");
        }
    }
}

/// Splits a list at commas outside quotes. Readers differ about backslashes in quotes.
fn elements(text: &str, escapes: bool) -> Vec<&str> {
    let (mut quoted, mut escaped) = (false, false);
    text.split(|letter| {
        match letter {
            _ if escaped => escaped = false,
            '\\' if quoted && escapes => escaped = true,
            '"' => quoted = !quoted,
            _ => {}
        }
        letter == ',' && !quoted
    })
    .collect()
}

/// Type and subtype as browsers read them: up to a space, a semicolon or a parenthesis.
fn lenient(element: &str) -> String {
    let element = element.trim_matches([' ', '\t', '\r', '\n', '\x0c']);
    let end = element.find([' ', '\t', '\r', '\n', '\x0c', ';', '(']);
    element[..end.unwrap_or(element.len())].to_ascii_lowercase()
}
