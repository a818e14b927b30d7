//! Sources of storage keys, and the errors where a source has none.

use asset_gateway_backends::settings::CredentialSettings;

use super::{BTreeMap, Config, ConfigSource, MINIMAL, load, refused, write};
use crate::config::features::Feature;

fn with(fields: &str) -> String {
    format!("{MINIMAL}credentials: {{c: {{{fields}}}}}")
}

#[test]
fn keys_are_read_from_the_environment() {
    let bucket = "buckets: {b: {bucket: b, region: r, credential: c}}";
    let file = write(
        "config.yaml",
        &format!("{}\n{bucket}", with("source: environment")),
    );
    let source = ConfigSource::File(file.path.clone());
    let mut variables: BTreeMap<_, _> = [
        ("AWS_ACCESS_KEY_ID", "a"),
        ("AWS_SECRET_ACCESS_KEY", "007"),
        ("AWS_SESSION_TOKEN", "t"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into();
    let config = Config::load(&source, &variables).expect("valid");
    let settings = &config.bucket_settings()["b"];
    let keys = settings.credential.keys().expect("keys");
    assert_eq!(keys.access_key.expose(), "a");
    assert_eq!(keys.secret_key.expose(), "007");
    assert_eq!(keys.session_token.expose(), "t");

    variables.insert("AWS_ACCESS_KEY_ID".into(), String::new());
    variables.remove("AWS_SECRET_ACCESS_KEY");
    let error = Config::load(&source, &variables)
        .expect_err("no keys")
        .to_string();
    assert!(error.contains("credentials.c.source ("), "{error}");
    for variable in ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"] {
        assert!(
            error.contains(&format!("variable {variable}, which is not set")),
            "{error}"
        );
    }
}

#[test]
fn a_credentials_file_needs_to_exist_with_its_profile() {
    let keys = write(
        "keys",
        "[one]\naws_access_key_id = geheim\naws_secret_access_key = geheim\n",
    );
    let path = keys.path.display();
    load(&with(&format!("source: file, file: {path}, profile: one"))).expect("valid");
    for (fields, expected) in [
        ("source: file".to_owned(), "missing"),
        (
            "source: file, file: /nowhere/keys".into(),
            "`/nowhere/keys`: cannot be read",
        ),
        (
            format!("source: file, file: {path}"),
            "no profile [default]",
        ),
        (
            format!("source: environment, file: {path}"),
            "`source: file` only",
        ),
        (
            format!("access_key: a, secret_key: b, file: {path}"),
            "`source: file` only",
        ),
    ] {
        refused(&with(&fields), "credentials.c.file", &[expected]);
    }
}

#[test]
fn keys_that_a_source_does_not_use_are_refused() {
    for source in ["environment", "file", "default_chain"] {
        for key in ["access_key", "secret_key_file", "session_token"] {
            let fields = format!("source: {source}, {key}: geheim");
            let named = key.trim_end_matches("_file");
            let message = format!("means nothing with `source: {source}`");
            refused(
                &with(&fields),
                &format!("credentials.c.{named}"),
                &[&message],
            );
        }
    }
    let fields = "access_key: a, secret_key: b, profile: p";
    refused(
        &with(fields),
        "credentials.c.profile",
        &["`source: default_chain`"],
    );
    refused(
        &with("source: instance"),
        "credentials.c.source",
        &["expected"],
    );
}

#[test]
fn sources_of_changing_keys_need_the_aws_backend() {
    let bucket = |backend: &str| {
        let bucket = format!("{{bucket: b, region: r, credential: c, backend: {backend}}}");
        format!(
            "{}\nbuckets: {{b: {bucket}}}",
            with("source: default_chain, profile: p")
        )
    };
    refused(
        &bucket("opendal"),
        "buckets.b.credential",
        &["`source: default_chain` works with `backend: aws` only"],
    );
    match load(&bucket("aws")) {
        Ok(config) => {
            let profile = Some("p".to_owned());
            let expected = CredentialSettings::DefaultChain { profile };
            assert_eq!(config.bucket_settings()["b"].credential, expected);
        }
        Err(error) => assert!(!Feature::Aws.is_compiled(), "{error}"),
    }
}
