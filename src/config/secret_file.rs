//! Reads secrets from files: every secret has a key `…_file` beside it.

use std::path::Path;

use asset_gateway_backends::settings::Secret;

use super::error::Problems;

/// The content of a secret's file without its final newline. `None`: no file is named, or reading it was a
/// problem.
pub(super) fn read_file(file: &Path, key: &[&str], problems: &mut Problems) -> Option<Secret> {
    if file.as_os_str().is_empty() {
        return None;
    }
    let content = match std::fs::read_to_string(file) {
        Ok(content) => content,
        Err(error) => {
            problems.add(
                key,
                format!(
                    "cannot read `{}`: {error}; expected a text file that holds the secret",
                    file.display()
                ),
            );
            return None;
        }
    };
    let value = content.strip_suffix('\n').unwrap_or(&content);
    let value = value.strip_suffix('\r').unwrap_or(value);
    if value.is_empty() {
        problems.add(
            key,
            format!("`{}` is empty: expected the secret", file.display()),
        );
        return None;
    }
    Some(Secret::new(value))
}

/// Fills `inline` from the file that `KEY_file` names. Both together are a problem, because either could be
/// meant.
pub(super) fn resolve(inline: &mut Secret, file: &Path, key: &[&str], problems: &mut Problems) {
    let file_key = file_key(key);
    let file_key: Vec<&str> = file_key.iter().map(String::as_str).collect();
    if !inline.is_empty() && !file.as_os_str().is_empty() {
        problems.add(&file_key, given_twice(key));
    } else if let Some(secret) = read_file(file, &file_key, problems) {
        *inline = secret;
    }
}

/// Adds a secret from each line of the file that `KEY_file` names, whose content it returns. Secrets in both
/// places are a problem, because either could be meant.
pub(super) fn read_lines<T: TryFrom<String, Error = String>>(
    inline: &mut Vec<T>,
    file: &Path,
    key: &[&str],
    problems: &mut Problems,
) -> Option<Secret> {
    let file_key = file_key(key);
    let file_key: Vec<&str> = file_key.iter().map(String::as_str).collect();
    if !inline.is_empty() && !file.as_os_str().is_empty() {
        problems.add(&file_key, given_twice(key));
        return None;
    }
    let content = read_file(file, &file_key, problems)?;
    for (number, line) in content.expose().lines().enumerate() {
        let line = line.trim();
        if line.is_empty() {
            continue;
        }
        match T::try_from(line.to_owned()) {
            Ok(secret) => inline.push(secret),
            Err(error) => problems.add(&file_key, format!("line {}: {error}", number + 1)),
        }
    }
    Some(content)
}

/// The message where both a secret and its file are given.
fn given_twice(key: &[&str]) -> String {
    let name = key.last().copied().unwrap_or_default();
    format!("`{name}` is given as well: expected one of `{name}` and `{name}_file`")
}

fn file_key(key: &[&str]) -> Vec<String> {
    let mut path: Vec<String> = key.iter().map(|&part| part.to_owned()).collect();
    if let Some(last) = path.last_mut() {
        last.push_str("_file");
    }
    path
}
