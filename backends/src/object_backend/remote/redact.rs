//! Messages of storage without signatures, short enough for a log.

use std::error::Error as StdError;

const MAX_CHARACTERS: usize = 500;

/// `text` without the query of any URL, cut to [`MAX_CHARACTERS`].
pub fn redact(text: &str) -> String {
    let mut text = without_queries(text);
    if let Some((end, _)) = text.char_indices().nth(MAX_CHARACTERS) {
        text.truncate(end);
        text.push('…');
    }
    text
}

/// A signature is in the query of its URL.
fn without_queries(text: &str) -> String {
    let mut redacted = String::with_capacity(text.len());
    for word in text.split_inclusive(char::is_whitespace) {
        match (word.contains("://"), word.split_once('?')) {
            (true, Some((address, _))) => {
                redacted.push_str(address);
                redacted.push_str("?… ");
            }
            (true, None) | (false, _) => redacted.push_str(word),
        }
    }
    redacted
}

/// The error's message with those of its sources.
pub fn error_chain(error: &dyn StdError) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
}

/// The text of the first `<name>` element.
pub fn xml_element<'x>(xml: &'x str, name: &str) -> Option<&'x str> {
    let mut rest = xml;
    loop {
        let start = rest.find('<')?;
        rest = &rest[start + 1..];
        let Some(after) = rest.strip_prefix(name).and_then(|r| r.strip_prefix('>')) else {
            continue;
        };
        let end = after.find("</")?;
        return Some(after[..end].trim());
    }
}
