//! Loads a configuration: reads the file and the environment, then checks the result.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use asset_gateway_backends::open::{self, OpenError};
use figment::value::{Dict, Map, Value};
use figment::{Figment, Metadata, Profile, Provider};
use serde::Deserialize;

use super::error::{ConfigError, Problem, Problems, merged};
use super::schema::{Shape, shape};
use super::{Config, TokenStoreKind, check_features, embedded, env};

/// Where the values come from that the environment overrides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConfigSource {
    File(PathBuf),
    /// No file: the defaults of embedded mode.
    Embedded,
}

impl ConfigSource {
    /// The named file, else `./config.yaml` if it exists, else embedded mode.
    pub fn locate(named: Option<PathBuf>) -> Self {
        let usual = Path::new("config.yaml");
        match named {
            Some(file) => Self::File(file),
            None if usual.exists() => Self::File(usual.to_owned()),
            None => Self::Embedded,
        }
    }
}

impl Config {
    /// Reads and checks, and writes nothing. `variables`:
    /// [`process_variables`](super::process_variables), or a test's.
    pub fn load(
        source: &ConfigSource,
        variables: &BTreeMap<String, String>,
    ) -> Result<Self, ConfigError> {
        match source {
            ConfigSource::File(path) => {
                Self::from_document(&Document::read(path)?, false, variables)
            }
            ConfigSource::Embedded => Self::from_document(&Document::embedded(), true, variables),
        }
    }

    /// As [`Config::load`], from a file's text. `place`: the file's name in errors.
    pub fn parse(
        yaml: &str,
        place: &str,
        variables: &BTreeMap<String, String>,
    ) -> Result<Self, ConfigError> {
        let document = Document::parse(yaml, place.to_owned())?;
        Self::from_document(&document, false, variables)
    }

    fn from_document(
        document: &Document,
        embedded: bool,
        variables: &BTreeMap<String, String>,
    ) -> Result<Self, ConfigError> {
        let (figment, origin) = (Figment::from(document), &document.place);
        let mut problems = Problems::default();
        let file = merged(&figment);
        let figment = env::read(variables, &file, &mut problems)
            .into_iter()
            .fold(figment, Figment::merge);

        check_groups(&merged(&figment), &[], &mut problems);
        let mut config = figment.extract::<Self>().unwrap_or_else(|error| {
            problems.add_figment(error);
            find_problems_of_other_sections(&figment, &mut problems);
            Self::default()
        });
        // Checks of defaults in place of unreadable values would report false problems.
        if problems.is_empty() {
            config.metrics.required = merged(&figment).contains_key("metrics");
            config.embedded = embedded;
            config.read_secrets(variables, &mut problems);
            config.check(&mut problems);
            check_features(&config, &mut problems);
            config.check_backends(&mut problems);
        }
        match problems.is_empty() {
            true => Ok(config),
            false => Err(problems.into_error(&figment, origin)),
        }
    }

    fn read_secrets(&mut self, variables: &BTreeMap<String, String>, problems: &mut Problems) {
        self.control.read_secrets(problems);
        self.callback.read_secrets(problems);
        for (name, credential) in &mut self.credentials {
            credential.read_secrets(name, variables, problems);
        }
        if let Some(redis) = &mut self.redis {
            redis.read_secrets(problems);
        }
        if let Some(images) = &mut self.images {
            images.read_secrets(problems);
        }
    }

    /// Adds what the stores and adapters refuse in settings that passed all other checks.
    fn check_backends(&self, problems: &mut Problems) {
        let section = match self.token_store_kind() {
            TokenStoreKind::Sled => "sled",
            TokenStoreKind::Redis => "redis",
        };
        if !problems.contains(&[section])
            && !problems.contains(&["token_store"])
            && let Err(refused) = open::check_stores(&self.token_store_settings())
        {
            problems.add(&[section], refused.to_string());
        }
        for (alias, settings) in self.bucket_settings() {
            let key = ["buckets", alias.as_str()];
            let credential = ["credentials", self.buckets[&alias].credential.as_str()];
            if !problems.contains(&key)
                && !problems.contains(&credential)
                && let Err(refused) = open::check_bucket(&settings)
            {
                match refused {
                    OpenError::Setting { key, text } => {
                        problems.add(&["buckets", &alias, key], text);
                    }
                    other => problems.add(&key, other.to_string()),
                }
            }
        }
    }

    fn check(&self, problems: &mut Problems) {
        self.sled.check(problems);
        if let Some(redis) = &self.redis {
            redis.check(problems);
        } else if self.token_store.kind == Some(TokenStoreKind::Redis) {
            problems.add(
                &["redis"],
                "missing: expected a section `redis` with `token_store.kind: redis`",
            );
        }
        // Embedded mode generates its token later: a check must not write.
        if !self.embedded {
            self.control.check(problems);
        }
        for (name, credential) in &self.credentials {
            credential.check(name, problems);
        }
        for (alias, bucket) in &self.buckets {
            bucket.check(alias, &self.credentials, problems);
            let store = self.token_store_kind() == TokenStoreKind::Sled;
            if store
                && !bucket.root.as_os_str().is_empty()
                && is_within(&self.sled.path, &bucket.root)
            {
                problems.add(
                    &["buckets", alias, "root"],
                    "holds the token store's folder, which could be downloaded: expected a folder that does not contain `sled.path`",
                );
            }
        }
        if self.metrics.required && self.metrics.listen.overlaps(&self.server.listen) {
            problems.add(
                &["metrics", "listen"],
                "is where `server.listen` listens: expected another port",
            );
        }
        self.callback.check(problems);
        self.cors.check(problems);
        self.limits.check(problems);
        self.server.check(problems);
        if let Some(direct) = &self.direct {
            direct.check(problems);
        }
        if let Some(images) = &self.images
            && !self.buckets.contains_key(&images.bucket)
        {
            problems.add(&["images", "bucket"], "expected an alias of `buckets`");
        }
    }
}

/// Whether `path` is `folder` or below it; compares names only.
fn is_within(path: &Path, folder: &Path) -> bool {
    let plain = |path: &Path| -> Option<PathBuf> {
        let mut plain = PathBuf::new();
        for part in std::path::absolute(path).ok()?.components() {
            match part {
                Component::ParentDir => drop(plain.pop()),
                Component::CurDir => {}
                Component::Prefix(_) | Component::RootDir | Component::Normal(_) => {
                    plain.push(part)
                }
            }
        }
        Some(plain)
    };
    match (plain(path), plain(folder)) {
        (Some(path), Some(folder)) => path.starts_with(folder),
        (None, _) | (_, None) => false,
    }
}

/// Refuses lists and empty values in place of groups of keys. serde would read a list as a struct, its
/// values in the order of the fields.
fn check_groups(values: &Dict, path: &[&str], problems: &mut Problems) {
    for (key, value) in values {
        let path = [path, &[key.as_str()]].concat();
        if !matches!(shape::<Config>(&path), Some(Shape::Struct(_) | Shape::Map)) {
            continue;
        }
        match value {
            Value::Dict(_, inner) => check_groups(inner, &path, problems),
            Value::Array(_, _) => problems.add(&path, "found a list, expected a group of keys"),
            // serde would read an empty `redis:` as none.
            Value::Empty(_, _) => problems.add(&path, "found nothing, expected a group of keys"),
            // serde refuses all others.
            _ => {}
        }
    }
}

/// Reads each section alone, because reading all stops at the first wrong value.
fn find_problems_of_other_sections(figment: &Figment, problems: &mut Problems) {
    fn section<'de, T: Deserialize<'de>>(figment: &Figment, name: &str, problems: &mut Problems) {
        if figment.contains(name)
            && let Err(mut error) = figment.extract_inner::<T>(name)
        {
            // figment puts the section's name after the key.
            error.path.rotate_right(1);
            problems.add_figment(error);
        }
    }
    section::<super::ServerConfig>(figment, "server", problems);
    section::<super::MetricsConfig>(figment, "metrics", problems);
    section::<super::TokenStoreConfig>(figment, "token_store", problems);
    section::<super::SledConfig>(figment, "sled", problems);
    section::<super::RedisConfig>(figment, "redis", problems);
    section::<super::ControlConfig>(figment, "control", problems);
    section::<BTreeMap<String, super::CredentialConfig>>(figment, "credentials", problems);
    section::<BTreeMap<String, super::BucketConfig>>(figment, "buckets", problems);
    section::<super::CallbackConfig>(figment, "callback", problems);
    section::<super::DirectConfig>(figment, "direct", problems);
    section::<super::CorsConfig>(figment, "cors", problems);
    section::<super::LimitsConfig>(figment, "limits", problems);
    section::<super::ImagesConfig>(figment, "images", problems);
}

/// An error with one problem, of the file as a whole.
fn file_error(place: &str, message: String) -> ConfigError {
    ConfigError {
        problems: vec![Problem {
            key: Vec::new(),
            place: place.to_owned(),
            message,
        }],
    }
}

/// The lowest layer of values: a YAML file without duplicate keys (figment's own provider keeps the last
/// one), or the defaults of embedded mode.
struct Document {
    place: String,
    values: Dict,
}

impl Document {
    fn read(path: &Path) -> Result<Self, ConfigError> {
        let place = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|error| {
            file_error(&place, format!("cannot read the configuration: {error}"))
        })?;
        Self::parse(&text, place)
    }

    fn parse(text: &str, place: String) -> Result<Self, ConfigError> {
        let wrong = |message: String| file_error(&place, message);
        let yaml: serde_yaml::Value = serde_yaml::from_str(text)
            .map_err(|error| wrong(format!("not valid YAML: {error}")))?;
        let values = match yaml {
            serde_yaml::Value::Null => Dict::new(),
            yaml => match Value::serialize(yaml) {
                Ok(Value::Dict(_, dict)) => dict,
                Ok(_) | Err(_) => {
                    return Err(wrong(
                        "expected groups of keys such as `server:`, every key of them text".into(),
                    ));
                }
            },
        };
        Ok(Self { place, values })
    }

    fn embedded() -> Self {
        Self {
            place: "embedded defaults".to_owned(),
            values: embedded::defaults(),
        }
    }
}

impl Provider for &Document {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.place.clone())
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        Ok(Profile::Default.collect(self.values.clone()))
    }
}

#[cfg(test)]
mod tests;
