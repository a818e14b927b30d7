//! Tests that `config.yaml.example` has every key with its default and variable.

use std::collections::BTreeMap;

use super::schema::leaves;
use super::{Config, ConfigSource};

const EXAMPLE: &str = include_str!("../../config.yaml.example");

/// Keys that the parser knows and this version does not implement.
const NOT_IMPLEMENTED: &[&str] = &[
    "direct.",
    "images.",
    "buckets.*.public_endpoint",
    "buckets.*.post_signature",
];

fn example() -> Config {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/config.yaml.example");
    Config::load(&ConfigSource::File(file.into()), &BTreeMap::new()).expect("a valid example")
}

#[test]
fn the_examples_values_are_the_defaults() {
    let (example, default) = (example(), Config::default());
    macro_rules! same {
        ($($path:ident).+) => {
            let (example, default) = (&example.$($path).+, &default.$($path).+);
            assert_eq!(format!("{example:?}"), format!("{default:?}"), stringify!($($path).+));
        };
    }
    same!(server.listen);
    same!(server.trusted_proxies);
    same!(metrics.listen);
    same!(sled);
    same!(control.token_pepper_file);
    same!(control.unknown_fields);
    same!(callback);
    same!(cors);
    same!(limits);
    assert_eq!(example.token_store_kind(), default.token_store_kind());
    let mut bucket = example.buckets["prod-assets"].clone();
    assert_eq!(bucket.provider, Default::default());
    bucket.backend = None;
    let settings = bucket.settings(&example.credentials["s3-prod"]);
    assert_eq!(settings.adapter, Some(bucket.adapter()));
    assert!(!settings.force_path_style);
    let keys = settings.credential.keys().expect("keys");
    assert!(keys.session_token.is_empty());
}

#[test]
fn the_example_has_every_implemented_key_with_its_variable() {
    for leaf in leaves::<Config>(&[]) {
        let name = leaf.join(".");
        let entry = match name.as_str() {
            "buckets.*.root" => "LOCAL",
            other if other.starts_with("buckets.") => "PROD_ASSETS",
            _ => "S3_PROD",
        };
        let variable = format!("ASSET_GATEWAY__{}", leaf.join("__").to_uppercase());
        let variable = format!("# {}\n", variable.replace('*', entry));
        let later = NOT_IMPLEMENTED.iter().any(|later| name.starts_with(later));
        let at = EXAMPLE.find(&variable);
        assert_eq!(at.is_some(), !later, "{variable}");
        if let Some(at) = at {
            let line = EXAMPLE[at..].lines().nth(1).expect("a line").trim();
            let key = line.trim_start_matches("# ").split(':').next();
            assert_eq!(key, leaf.last().copied(), "the line below {variable}");
        }
    }
}
