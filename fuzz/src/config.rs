//! Configuration files (YAML): errors name their key, and printed text contains no secret.

use std::collections::BTreeMap;

use asset_gateway::config::Config;

/// Part of the corpus' secrets.
const MARKER: &str = "SECRET";
/// Keys whose values are never printed.
const SECRET_KEYS: [&str; 5] = [
    "password",
    "secret_key",
    "session_token",
    "sentinel_password",
    "token_salt",
];

/// `data`: the text of a file.
pub fn run(data: &[u8]) {
    let Ok(yaml) = std::str::from_utf8(data) else {
        return;
    };
    // Loading would read the named files.
    if yaml.contains("_file") {
        return;
    }
    let printed = match Config::parse(yaml, "config.yaml", &BTreeMap::new()) {
        Ok(config) => {
            let warnings = config.warnings();
            let buckets = config.bucket_settings();
            let store = config.token_store_settings();
            format!("{config:?} {warnings:?} {buckets:?} {store:?}")
        }
        Err(error) => {
            assert!(!error.problems.is_empty());
            for problem in &error.problems {
                assert!(!problem.message.is_empty() && problem.place == "config.yaml");
            }
            error.to_string()
        }
    };
    if secrets_are_marked(yaml) {
        assert!(!printed.contains(MARKER), "{printed}");
    }
}

/// Whether only values of secrets contain the marker. Knows plain lines only: false for text with quotes,
/// flows and aliases.
fn secrets_are_marked(yaml: &str) -> bool {
    if yaml.contains([
        '&', '*', '"', '\'', '|', '>', '{', '[', '!', '?', '#', '%', '\t',
    ]) {
        return false;
    }
    let mut lines = yaml.lines().filter(|line| line.contains(MARKER));
    lines.all(|line| {
        let key = line.split(": ").next().unwrap_or_default();
        let value = line.trim_start().strip_prefix(key.trim_start());
        SECRET_KEYS.contains(&key.trim_start())
            && value.is_some_and(|v| v.matches(": ").count() == 1)
    })
}
