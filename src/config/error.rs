//! Problems of a configuration: the key, its place (file or variable), and what was expected.

use std::fmt;

use figment::error::{Actual, Kind};
use figment::value::{Dict, Value};
use figment::{Figment, Provider};

/// All problems of a configuration; one line for each.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct ConfigError {
    pub problems: Vec<Problem>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The path of keys; empty: the configuration as a whole.
    pub key: Vec<String>,
    /// The file or the environment variable of the key.
    pub place: String,
    pub message: String,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.problems.len() {
            1 => write!(f, "the configuration is not valid:")?,
            n => write!(f, "the configuration is not valid, {n} problems:")?,
        }
        for problem in &self.problems {
            write!(f, "\n  {problem}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.key.is_empty() {
            return write!(f, "{}: {}", self.place, self.message);
        }
        write!(
            f,
            "{} ({}): {}",
            self.key.join("."),
            self.place,
            self.message
        )
    }
}

/// Collects problems, each with its key.
#[derive(Debug, Default)]
pub struct Problems(Vec<(Vec<String>, Option<String>, String)>);

impl Problems {
    pub(super) fn add(&mut self, key: &[&str], message: impl Into<String>) {
        let key = key.iter().map(|&part| part.to_owned()).collect();
        self.push(key, None, message.into());
    }

    /// Adds a problem whose place is known, such as an environment variable.
    pub(super) fn add_at(&mut self, key: &[&str], place: &str, message: impl Into<String>) {
        let key = key.iter().map(|&part| part.to_owned()).collect();
        self.push(key, Some(place.to_owned()), message.into());
    }

    pub(super) fn add_figment(&mut self, error: figment::Error) {
        for error in error {
            let (key, message) = (error.path.clone(), message(&error.kind));
            self.push(key, error.metadata.as_ref().map(place), message);
        }
    }

    fn push(&mut self, key: Vec<String>, place: Option<String>, message: String) {
        let known = |(k, _, m): &(Vec<String>, _, String)| *k == key && *m == message;
        if !self.0.iter().any(known) {
            self.0.push((key, place, message));
        }
    }

    /// Whether there is a problem at `key` or below it.
    pub(super) fn contains(&self, key: &[&str]) -> bool {
        let below = |(k, _, _): &(Vec<String>, _, _)| {
            k.len() >= key.len() && k.iter().zip(key).all(|(k, part)| k == part)
        };
        self.0.iter().any(below)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The error with all problems. `origin`: the place of missing keys.
    pub(super) fn into_error(self, figment: &Figment, origin: &str) -> ConfigError {
        let dict = merged(figment);
        let problem = |(key, place, message): (Vec<String>, Option<String>, String)| Problem {
            place: place
                .or_else(|| find_place(figment, &dict, &key))
                .unwrap_or_else(|| origin.to_owned()),
            key,
            message,
        };
        let problems = self.0.into_iter().map(problem).collect();
        ConfigError { problems }
    }
}

/// The values of all layers, merged.
pub(super) fn merged(figment: &Figment) -> Dict {
    let data = figment.data().unwrap_or_default();
    data.into_values().next().unwrap_or_default()
}

/// The place of the longest known prefix of `key`. (`Figment::find_metadata` would split an alias at its
/// dots.)
fn find_place(figment: &Figment, dict: &Dict, key: &[String]) -> Option<String> {
    let mut value: Option<&Value> = None;
    let mut inner = Some(dict);
    for part in key {
        match inner.and_then(|dict| dict.get(part)) {
            Some(found) => (value, inner) = (Some(found), found.as_dict()),
            None => break,
        }
    }
    figment.get_metadata(value?.tag()).map(place)
}

fn place(metadata: &figment::Metadata) -> String {
    metadata.name.to_string()
}

/// Words figment's errors for operators. Values are left out: they may be secrets.
fn message(kind: &Kind) -> String {
    match kind {
        Kind::UnknownField(_, known) => unknown_key(known),
        Kind::UnknownVariant(given, known) => {
            format!(
                "`{given}` is not known: expected one of {}",
                known.join(", ")
            )
        }
        Kind::InvalidType(found, expected) | Kind::InvalidValue(found, expected) => {
            let expected = readable(expected);
            let hint = match (found, expected) {
                (Actual::Bool(_) | Actual::Unsigned(_) | Actual::Signed(_), "text")
                | (Actual::Float(_), "text") => ", in quotes",
                _ => "",
            };
            format!("found {}, expected {expected}{hint}", found_kind(found))
        }
        Kind::Message(message) => message.clone(),
        other => other.to_string(),
    }
}

pub(super) fn unknown_key(known: &[&str]) -> String {
    format!("unknown key: expected one of {}", known.join(", "))
}

fn found_kind(found: &Actual) -> &str {
    match found {
        Actual::Bool(_) => "true or false",
        Actual::Unsigned(_) | Actual::Float(_) => "a number",
        Actual::Signed(number) if *number < 0 => "a negative number",
        Actual::Signed(_) => "a number",
        Actual::Char(_) | Actual::Str(_) => "text",
        Actual::Seq => "a list",
        Actual::Map => "a group of keys",
        Actual::Unit | Actual::Option => "nothing",
        _ => "something else",
    }
}

fn readable(expected: &str) -> &str {
    match expected {
        "a string" | "path string" | "string or map" => "text",
        "a boolean" => "true or false",
        "u8" | "u16" | "u32" | "u64" | "usize" => "a whole number that is not negative",
        "a sequence" => "a list",
        "a map" => "a group of keys",
        text if text.starts_with("struct ") => "a group of keys",
        text if text.starts_with("enum ") => "text",
        text => text,
    }
}
