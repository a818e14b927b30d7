//! Loads whole configurations: valid ones here, invalid ones in [`refused`].

mod credentials;
mod refused;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use asset_gateway_backends::settings::TokenStoreSettings;

use super::{Config, ConfigSource};
use crate::config::features::Feature;
use crate::config::{ListenAddress, TokenStoreKind, UnknownFields};

const MINIMAL: &str = "control: {tokens: [one]}\n";

struct Written {
    _folder: tempfile::TempDir,
    path: PathBuf,
}

fn write(name: &str, text: &str) -> Written {
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join(name);
    std::fs::write(&path, text).expect("written");
    Written {
        _folder: folder,
        path,
    }
}

fn load_with(yaml: &str, variables: &[(&str, &str)]) -> Result<Config, String> {
    let file = write("config.yaml", yaml);
    let variables: BTreeMap<String, String> = variables
        .iter()
        .map(|(name, value)| (format!("ASSET_GATEWAY__{name}"), (*value).to_owned()))
        .collect();
    let source = ConfigSource::File(file.path.clone());
    Config::load(&source, &variables).map_err(|error| error.to_string())
}

fn load(yaml: &str) -> Result<Config, String> {
    load_with(yaml, &[])
}

/// The error has a line for `key` that contains all of `parts`.
fn refused(yaml: &str, key: &str, parts: &[&str]) {
    refused_with(yaml, &[], key, parts);
}

fn refused_with(yaml: &str, variables: &[(&str, &str)], key: &str, parts: &[&str]) {
    let error = load_with(yaml, variables).expect_err(yaml);
    let start = format!("{key} (");
    let line = error.lines().find(|line| line.trim().starts_with(&start));
    let line = line.unwrap_or_else(|| panic!("nothing about {key} in: {error}"));
    for part in parts {
        assert!(line.contains(part), "`{part}` is not in: {line}");
    }
    assert!(line.contains("config.yaml") || line.contains("environment variable"));
    assert!(!error.contains("geheim"), "{error}");
}

#[test]
fn missing_keys_have_their_defaults() {
    let config = load(MINIMAL).expect("valid");
    assert_eq!(config.server.listen, ListenAddress::Every { port: 8080 });
    assert_eq!(config.metrics.listen.to_string(), "127.0.0.1:9464");
    assert!(!config.metrics.required);
    assert_eq!(config.token_store_kind(), TokenStoreKind::Sled);
    assert_eq!(config.sled.path, Path::new("./data/tokens"));
    assert_eq!(config.control.unknown_fields, UnknownFields::Reject);
    assert!(!config.embedded);
    assert_eq!(config.warnings().len(), 1);
    assert!(
        load(&format!("{MINIMAL}metrics: {{}}"))
            .expect("valid")
            .metrics
            .required
    );
}

#[test]
fn the_environment_overrides_the_file() {
    let yaml = "
server: {listen: ':1'}
control: {tokens: [one]}
credentials: {s3-Prod.eu: {access_key: a, secret_key: b}}
buckets: {Assets: {bucket: b, region: r, credential: s3-Prod.eu}}
";
    let config = load_with(
        yaml,
        &[
            ("SERVER__LISTEN", "[::]:80"),
            ("SERVER__TRUSTED_PROXIES", "10.0.0.0/8, ::1"),
            ("METRICS__LISTEN", "127.0.0.1:1"),
            ("CONTROL__TOKENS", "[two, \"three\"]"),
            ("CREDENTIALS__S3_PROD_EU__SECRET_KEY", "007"),
            ("BUCKETS__ASSETS__FORCE_PATH_STYLE", "true"),
            ("BUCKETS__LOCAL", "{provider: fs, root: /srv/objects}"),
            ("CALLBACK__RETRY_SECONDS", "1,2"),
            ("LIMITS__IDLE_SECONDS", "5"),
        ],
    )
    .expect("valid");
    assert_eq!(config.server.listen.to_string(), "[::]:80");
    assert_eq!(config.server.trusted_proxies.len(), 2);
    assert!(config.metrics.required);
    assert_eq!(config.control.tokens.len(), 2);
    assert!(config.control.tokens[1].matches(b"three"));
    let bucket = &config.bucket_settings()["Assets"];
    let keys = bucket.credential.keys().expect("keys");
    assert_eq!(keys.access_key.expose(), "a");
    assert_eq!(keys.secret_key.expose(), "007");
    assert!(bucket.force_path_style && bucket.root.is_none());
    let local = &config.bucket_settings()["local"];
    assert_eq!(local.root.as_deref(), Some(Path::new("/srv/objects")));
    assert_eq!(config.callback.retry_seconds, [1, 2]);
    assert_eq!(config.limits.idle_seconds, 5);
}

#[test]
fn secrets_are_read_from_files() {
    let secret = write("secret", "from a file\r\n");
    let tokens = write("tokens", "one\n\n two \n");
    let (secret, tokens) = (secret.path.display(), tokens.path.display());
    let yaml = format!(
        "control: {{tokens_file: {tokens}, token_pepper_file: {secret}}}
credentials: {{c: {{access_key: a, secret_key_file: {secret}, session_token_file: {secret}}}}}"
    );
    let config = load(&yaml).expect("valid");
    assert!(config.control.tokens[0].matches(b"one") && config.control.tokens[1].matches(b"two"));
    let pepper = config.control.token_pepper.expect("read");
    assert_eq!(pepper.expose(), "from a file");
    assert_eq!(config.credentials["c"].secret_key.expose(), "from a file");
    assert_eq!(
        config.credentials["c"].session_token.expose(),
        "from a file"
    );

    let both = "expected one of `secret_key` and `secret_key_file`";
    let twice = format!(
        "{MINIMAL}credentials: {{c: {{access_key: a, secret_key: geheim, secret_key_file: {secret}}}}}"
    );
    refused(&twice, "credentials.c.secret_key_file", &[both]);
    let twice = format!("control: {{tokens: [geheim], tokens_file: {tokens}}}");
    refused(
        &twice,
        "control.tokens_file",
        &["expected one of `tokens` and `tokens_file`"],
    );
    refused(
        "control: {tokens_file: /nowhere/t}",
        "control.tokens_file",
        &["cannot read `/nowhere/t`"],
    );
    let empty = write("empty", "\n");
    let yaml = format!(
        "{MINIMAL}redis: {{password_file: {}}}",
        empty.path.display()
    );
    refused(
        &yaml,
        "redis.password_file",
        &["is empty: expected the secret"],
    );
    let broken = write("tokens", "good\nsha256:geheim\n");
    let yaml = format!("control: {{tokens_file: {}}}", broken.path.display());
    refused(&yaml, "control.tokens_file", &["line 2: after `sha256:`"]);
}

#[test]
fn a_printed_configuration_contains_no_secret() {
    let yaml = "
control: {tokens: [geheim-1]}
credentials: {c: {access_key: geheim-2, secret_key: geheim-3}}
";
    let printed = format!("{:?}", load(yaml).expect("valid"));
    assert!(
        printed.contains("[redacted]") && !printed.contains("geheim"),
        "{printed}"
    );
}

/// The minimal file of the first AssetGateway, unchanged.
const FIRST: &str = include_str!("../../../tests/it/e2e/process/legacy_config.yaml");

#[test]
fn the_first_gateways_file_works_unchanged_in_a_build_with_redis() {
    if Feature::Redis.is_compiled() {
        let settings = load(FIRST).expect("valid").token_store_settings();
        assert!(
            matches!(&settings, TokenStoreSettings::Redis(redis)
                if redis.addresses == ["127.0.0.1:6379"] && redis.password.is_empty()),
            "{settings:?}"
        );
    } else {
        let reason = "the section `redis` needs the feature `redis`";
        refused(FIRST, "redis", &[reason]);
        assert_eq!(load(FIRST).expect_err("redis").lines().count(), 2);
    }
    let config: Config = serde_yaml::from_str(FIRST).expect("parses");
    assert_eq!(config.token_store_kind(), TokenStoreKind::Redis);
    let (_, rest) = FIRST.split_once("control:").expect("control");
    let config = load(&format!("control:{rest}")).expect("valid without redis");
    let bucket = &config.bucket_settings()["prod-assets"];
    let keys = bucket.credential.keys().expect("keys");
    assert_eq!(keys.secret_key.expose(), "your-secret-key");
}
