//! Configuration keys from the environment: `ASSET_GATEWAY__SERVER__LISTEN` is `server.listen`.
//!
//! Names are compared without case, and `-`, `.` and `_` are equal, because shells allow only `_`:
//! `ASSET_GATEWAY__CREDENTIALS__S3_PROD__SECRET_KEY` means the file's `s3-prod`. A name that the file does
//! not have is used in lower case. Text is used unchanged, even if it looks like a number; numbers, flags
//! and groups of keys are read as YAML; a list is `[a, b]` or `a,b`.

use std::collections::BTreeMap;

use figment::value::{Dict, Map, Value};
use figment::{Metadata, Profile, Provider};

use super::Config;
use super::credential::VARIABLES;
use super::error::{Problems, unknown_key};
use super::schema::{Shape, shape};

const PREFIX: &str = "ASSET_GATEWAY__";

/// The variables of this process with the configuration's prefix, and those of the AWS SDKs for keys.
pub fn process_variables() -> BTreeMap<String, String> {
    let text = |text: std::ffi::OsString| text.to_string_lossy().into_owned();
    std::env::vars_os()
        .map(|(name, value)| (text(name), text(value)))
        .filter(|(name, _)| name.starts_with(PREFIX) || VARIABLES.contains(&name.as_str()))
        .collect()
}

/// A layer with the value of one variable, so that errors can name the variable.
pub(super) struct Variable {
    name: String,
    values: Dict,
}

impl Provider for Variable {
    fn metadata(&self) -> Metadata {
        Metadata::named(format!("environment variable {}", self.name))
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        Ok(Profile::Default.collect(self.values.clone()))
    }
}

/// Reads `variables`. `file`: the file's values, for the names in it.
pub(super) fn read(
    variables: &BTreeMap<String, String>,
    file: &Dict,
    problems: &mut Problems,
) -> Vec<Variable> {
    let mut found = Vec::new();
    for (name, text) in variables {
        let Some(rest) = name.strip_prefix(PREFIX) else {
            continue;
        };
        let segments: Vec<&str> = rest.split("__").collect();
        match resolve(&segments, file) {
            Ok((path, shape)) => {
                let nest = |inner, key: String| Value::from(Dict::from([(key, inner)]));
                let value = path
                    .iter()
                    .cloned()
                    .rev()
                    .fold(parse(text, shape, &path), nest);
                found.push(Variable {
                    name: name.clone(),
                    values: value.into_dict().unwrap_or_default(),
                });
            }
            Err((path, message)) => {
                let path: Vec<&str> = path.iter().map(String::as_str).collect();
                problems.add_at(&path, &format!("environment variable {name}"), message);
            }
        }
    }
    found
}

type Unknown = (Vec<String>, String);

/// The key that a variable's segments name, and the shape of its value.
fn resolve(segments: &[&str], file: &Dict) -> Result<(Vec<String>, Shape), Unknown> {
    let mut path: Vec<String> = Vec::new();
    let mut written = Some(file);
    for segment in segments {
        let key = match shape_at(&path) {
            Some(Shape::Struct(keys)) => match keys.iter().find(|key| same(key, segment)) {
                Some(key) => (*key).to_owned(),
                None => {
                    path.push(segment.to_lowercase());
                    return Err((path, unknown_key(keys)));
                }
            },
            Some(Shape::Map) => match entry(segment, written) {
                Ok(key) => key,
                Err(message) => {
                    path.push(segment.to_lowercase());
                    return Err((path, message));
                }
            },
            Some(Shape::List | Shape::Text | Shape::Number | Shape::Flag | Shape::Any) | None => {
                return Err((path, "has no keys below it".to_owned()));
            }
        };
        written = written.and_then(|dict| dict.get(&key)?.as_dict());
        path.push(key);
    }
    match shape_at(&path) {
        Some(shape) => Ok((path, shape)),
        None => Err((path, "is not a key".to_owned())),
    }
}

/// The entry of a map that `segment` names.
fn entry(segment: &str, written: Option<&Dict>) -> Result<String, String> {
    let names = || written.into_iter().flat_map(|dict| dict.keys());
    if let Some(exact) = names().find(|name| *name == segment) {
        return Ok(exact.clone());
    }
    let alike: Vec<&String> = names().filter(|name| same(name, segment)).collect();
    match alike.as_slice() {
        [] if segment.is_empty() => Err("expected a name".to_owned()),
        [] => Ok(segment.to_lowercase()),
        [name] => Ok((*name).clone()),
        many => {
            let many: Vec<&str> = many.iter().map(|name| name.as_str()).collect();
            Err(format!(
                "could be any of {}: expected names that differ in more than case, `-`, `.` and `_`",
                many.join(", ")
            ))
        }
    }
}

fn same(name: &str, segment: &str) -> bool {
    let plain = |text: &str| text.to_lowercase().replace(['-', '.'], "_");
    plain(name) == plain(segment)
}

fn shape_at(path: &[String]) -> Option<Shape> {
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    shape::<Config>(&path)
}

/// Text that is not YAML stays text; the key's type then reports what it expected.
fn parse(text: &str, shape: Shape, path: &[String]) -> Value {
    let yaml = || {
        let value = serde_yaml::from_str::<serde_yaml::Value>(text).ok()?;
        Value::serialize(value).ok()
    };
    match shape {
        Shape::Text => Value::from(text),
        Shape::Number | Shape::Flag | Shape::Map | Shape::Struct(_) => {
            yaml().unwrap_or_else(|| text.into())
        }
        Shape::Any if !text.starts_with('[') => Value::from(text),
        Shape::List | Shape::Any if text.trim().starts_with('[') => {
            yaml().unwrap_or_else(|| text.into())
        }
        Shape::List | Shape::Any => {
            let mut element = path.to_vec();
            element.push("0".to_owned());
            let shape = shape_at(&element).unwrap_or(Shape::Text);
            let parts = text
                .split(',')
                .map(str::trim)
                .filter(|part| !part.is_empty());
            Value::from(
                parts
                    .map(|part| parse(part, shape, &element))
                    .collect::<Vec<_>>(),
            )
        }
    }
}
