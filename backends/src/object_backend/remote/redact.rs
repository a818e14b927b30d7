//! What storage said, as far as it may stand in a log.

use std::error::Error as StdError;

/// Characters of storage's own words that are kept for the log.
const MAX_WORDS: usize = 500;

/// Cut to a bearable length, and without the query of any address.
pub fn for_log(text: &str) -> String {
    let mut text = without_queries(text);
    if let Some((end, _)) = text.char_indices().nth(MAX_WORDS) {
        text.truncate(end);
        text.push('…');
    }
    text
}

/// `text` with the query of every address cut off: signatures stand there.
fn without_queries(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    for word in text.split_inclusive(char::is_whitespace) {
        match (word.contains("://"), word.split_once('?')) {
            (true, Some((address, _))) => {
                kept.push_str(address);
                kept.push_str("?… ");
            }
            (true, None) | (false, _) => kept.push_str(word),
        }
    }
    kept
}

/// The error's own words and those of what caused it.
pub fn chain(error: &dyn StdError) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
}

/// What stands in the first `<name>` of an XML text.
pub fn element<'x>(xml: &'x str, name: &str) -> Option<&'x str> {
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
