#![allow(clippy::unwrap_used)]

use super::*;
use crate::token_store::{Method, TokenId, TokenRecord};
use crate::transfer::{Archive, Token};

fn token(n: u8) -> Entry {
    Entry::Token(Token {
        id: TokenId([n; 16]),
        incarnation: u64::MAX - u64::from(n),
        record: TokenRecord::new("bucket", "key", Method::Get, 1, 2_000),
        used_hits: n.into(),
        charged_bytes: 0,
        uploaded_at: None,
        windows: Vec::new(),
    })
}

fn archive() -> Vec<u8> {
    let header = Header::new("an-export".into(), "sled", "0badcafe".into(), "0.1.0", 7);
    let mut bytes = Vec::new();
    let mut writer = Writer::new(&mut bytes, &header).unwrap();
    for n in 1..=3 {
        writer.entry(&token(n)).unwrap();
    }
    assert_eq!(writer.finish().unwrap().tokens, 3);
    bytes
}

fn refusal(bytes: &[u8]) -> String {
    match Archive::check(bytes, 0) {
        Ok(archive) => panic!("accepted: {archive:?}"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn a_written_archive_is_read_back() {
    let bytes = archive();
    let (header, mut reader) = Reader::new(bytes.as_slice()).unwrap();
    assert_eq!(header.pepper, "0badcafe");
    for n in 1..=3 {
        assert_eq!(reader.entry().unwrap(), Some(token(n)));
    }
    assert_eq!(reader.entry().unwrap(), None);
    assert_eq!(reader.sha256().len(), 64);
}

/// Truncated at each byte.
#[test]
fn a_truncated_archive_is_refused() {
    let bytes = archive();
    for length in 0..bytes.len() {
        let error = refusal(&bytes[..length]);
        assert!(
            error.contains("cut off")
                || error.contains("empty")
                || error.contains("not an archive"),
            "{length}: {error}"
        );
    }
}

/// Edited at each byte.
#[test]
fn an_edited_archive_is_refused() {
    let bytes = archive();
    for at in 0..bytes.len() {
        let mut edited = bytes.clone();
        edited[at] = match edited[at] {
            b'0'..=b'8' | b'a'..=b'y' => edited[at] + 1,
            _ => b'!',
        };
        assert!(Archive::check(edited.as_slice(), 0).is_err(), "byte {at}");
    }
}

#[test]
fn a_missing_or_repeated_line_is_refused() {
    let text = String::from_utf8(archive()).unwrap();
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    for line in 1..lines.len() - 1 {
        let mut less = lines.clone();
        less.remove(line);
        assert!(refusal(less.concat().as_bytes()).contains("edited"));
        let mut twice = lines.clone();
        twice.insert(line, lines[line]);
        assert!(refusal(twice.concat().as_bytes()).contains("edited"));
    }
    assert!(refusal((text.clone() + "\n").as_bytes()).contains("after the trailer"));
}

#[test]
fn an_error_names_an_unknown_version() {
    let text = String::from_utf8(archive()).unwrap();
    let newer = text.replacen("\"version\":1", "\"version\":2", 1);
    let error = refusal(newer.as_bytes());
    assert!(
        error.contains("version 2") && error.contains("reads version 1"),
        "{error}"
    );
    for other in ["{}", "hello\n", "{\"format\":\"x\",\"version\":1}\n"] {
        let error = refusal(other.as_bytes());
        assert!(
            error.contains("not an archive") || error.contains("cut off"),
            "{error}"
        );
    }
}

#[test]
fn an_unknown_field_is_refused() {
    let text = String::from_utf8(archive()).unwrap();
    let newer = text.replacen("\"used_hits\"", "\"new\":1,\"used_hits\"", 1);
    let error = refusal(newer.as_bytes());
    assert!(
        error.starts_with("line 2") && error.contains("does not know"),
        "{error}"
    );
}

#[test]
fn tokens_past_their_grace_period_are_counted_separately() {
    let bytes = archive();
    let archive = Archive::check(bytes.as_slice(), 2_000 + 86_400).unwrap();
    assert_eq!((archive.gone, archive.summary.counts.tokens), (3, 0));
}
