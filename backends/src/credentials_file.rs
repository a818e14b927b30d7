//! Reads a storage credential from a file in the format of Amazon's shared credentials file:
//!
//! ```ini
//! [default]
//! aws_access_key_id = AKIA…
//! aws_secret_access_key = …
//! aws_session_token = …
//! ```
//!
//! No error shows the content of a line: it may be a key on the wrong line.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use crate::settings::{Keys, Secret};

/// A larger file is no credentials file.
const MAX_FILE_BYTES: u64 = 1024 * 1024;

/// Reads the keys of `profile`. Errors are texts for the operator.
pub fn read(path: &Path, profile: &str) -> Result<Keys, String> {
    let wrong = |what: String| format!("`{}`: {what}", path.display());
    let cannot = |error: std::io::Error| wrong(format!("cannot be read: {error}"));
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes))
        .map_err(cannot)?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(wrong("too large to be a credentials file".into()));
    }
    let text = String::from_utf8(bytes).map_err(|_| wrong("is not UTF-8".into()))?;
    parse(&text, profile).map_err(wrong)
}

fn parse(text: &str, profile: &str) -> Result<Keys, String> {
    let (mut keys, mut found, mut inside) = (Keys::default(), false, false);
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim();
        if line.is_empty() || line.starts_with(['#', ';']) {
            continue;
        }
        if let Some(rest) = line.strip_prefix('[') {
            let Some(name) = rest.strip_suffix(']') else {
                return Err(format!(
                    "line {number}: expected a profile such as [default]"
                ));
            };
            inside = name.trim() == profile;
            found |= inside;
            continue;
        }
        let Some((name, value)) = line.split_once('=') else {
            return Err(format!("line {number}: expected `name = value`"));
        };
        if !inside {
            continue;
        }
        let value = Secret::new(value.trim());
        match name.trim() {
            "aws_access_key_id" => keys.access_key = value,
            "aws_secret_access_key" => keys.secret_key = value,
            "aws_session_token" => keys.session_token = value,
            // Regions and other settings come from the bucket.
            _ => {}
        }
    }
    if !found {
        return Err(format!("there is no profile [{profile}]"));
    }
    for (key, name) in [
        (&keys.access_key, "aws_access_key_id"),
        (&keys.secret_key, "aws_secret_access_key"),
    ] {
        if key.is_empty() {
            return Err(format!("[{profile}] has no `{name}`"));
        }
    }
    Ok(keys)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_is_found_among_others() {
        let text = "# ours\n[other]\naws_access_key_id=o\naws_secret_access_key=o\n\n\
            [ default ]\naws_access_key_id = a\n aws_secret_access_key = s=/+\nregion = x\n\
            aws_session_token = t\n[last]\naws_session_token = l\n";
        let keys = parse(text, "default").expect("keys");
        assert_eq!(keys.access_key.expose(), "a");
        assert_eq!(keys.secret_key.expose(), "s=/+");
        assert_eq!(keys.session_token.expose(), "t");
        let other = parse(text, "other").expect("keys");
        assert!(other.session_token.is_empty());
    }

    #[test]
    fn an_error_names_the_line_and_no_key() {
        for (text, expected) in [
            ("", "no profile [default]"),
            (
                "[other]\naws_access_key_id = geheim",
                "no profile [default]",
            ),
            (
                "[default]\naws_access_key_id = geheim",
                "aws_secret_access_key",
            ),
            (
                "[default]\naws_secret_access_key = geheim",
                "aws_access_key_id",
            ),
            (
                "[default]\naws_access_key_id =\naws_secret_access_key = geheim",
                "aws_access_key_id",
            ),
            ("[default]\ngeheim", "line 2"),
            ("[geheim", "line 1"),
        ] {
            let error = parse(text, "default").expect_err(text);
            assert!(error.contains(expected), "{error}");
            assert!(!error.contains("geheim"), "{error}");
        }
        // The file reports a length of 0.
        let endless = read(Path::new("/dev/zero"), "default").expect_err("no keys");
        assert!(endless.contains("too large"), "{endless}");
        let missing = read(Path::new("/nowhere/keys"), "default").expect_err("no file");
        assert!(
            missing.contains("`/nowhere/keys`: cannot be read"),
            "{missing}"
        );
    }
}
