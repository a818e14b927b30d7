//! Errors of invalid configurations.

use std::collections::BTreeMap;

use super::{MINIMAL, load, load_with, refused, refused_with};
use crate::config::{Config, ConfigSource};

#[test]
fn errors_name_the_wrong_variable() {
    let variable = "environment variable ASSET_GATEWAY__";
    let wrong = |name, value, key, expected: &str| {
        let place = format!("{variable}{name}");
        refused_with(MINIMAL, &[(name, value)], key, &[&place, expected]);
    };
    wrong(
        "SERVER__LISTN",
        ":1",
        "server.listn",
        "expected one of listen, host, trusted_proxies",
    );
    wrong(
        "SERVR__LISTEN",
        ":1",
        "servr",
        "expected one of server, metrics",
    );
    wrong(
        "SERVER__LISTEN__PORT",
        "1",
        "server.listen",
        "no keys below",
    );
    wrong(
        "SERVER__LISTEN",
        "8080",
        "server.listen",
        "expected `:PORT`",
    );
    wrong(
        "LIMITS__IDLE_SECONDS",
        "long",
        "limits.idle_seconds",
        "found text, expected a whole number",
    );
    wrong(
        "LIMITS__IDLE_SECONDS",
        "0",
        "limits.idle_seconds",
        "expected 1 to 86400 seconds",
    );
    wrong(
        "CORS",
        "[]",
        "cors",
        "found a list, expected a group of keys",
    );
    let twins =
        "control: {tokens: [a]}\nbuckets: {a-b: {provider: memory}, a_B: {provider: memory}}";
    refused_with(
        twins,
        &[("BUCKETS__A_B__ROOT", "x")],
        "buckets.a_b",
        &["a-b, a_B"],
    );
    let config = load_with(twins, &[("BUCKETS__a-b__PROVIDER", "memory")]);
    assert!(config.is_ok(), "{config:?}");
}

#[test]
fn errors_name_wrong_keys_and_types() {
    refused(
        "sever: {}",
        "sever",
        &["unknown key: expected one of server, metrics"],
    );
    refused(
        "server: {port: 1}",
        "server.port",
        &["expected one of listen, host, trusted_proxies"],
    );
    refused(
        "server: 1",
        "server",
        &["found a number, expected a group of keys"],
    );
    refused(
        "server:",
        "server",
        &["found nothing, expected a group of keys"],
    );
    refused(
        "server: {listen: 8080}",
        "server.listen",
        &["found a number, expected text, in quotes"],
    );
    refused(
        "control: {tokens: [7]}",
        "control.tokens.0",
        &["expected text, in quotes"],
    );
    refused(
        "control: {tokens: geheim}",
        "control.tokens",
        &["found text, expected a list"],
    );
    refused(
        "redis: {password: {geheim: 1}}",
        "redis.password",
        &["expected text"],
    );
    refused(
        "redis:",
        "redis",
        &["found nothing, expected a group of keys"],
    );
    refused(
        "redis: {addr: 6379}",
        "redis.addr",
        &["expected `HOST:PORT` or a list"],
    );
    refused(
        "redis: {db: -1}",
        "redis.db",
        &["a negative number, expected a whole number"],
    );
    refused(
        "redis: {mode: single}",
        "redis.mode",
        &["standalone, cluster, sentinel"],
    );
    refused(
        "limits: {idle_seconds: '60'}",
        "limits.idle_seconds",
        &["found text"],
    );
    refused(
        "buckets: {b: {provider: gcs}}",
        "buckets.b.provider",
        &["s3, cos, ctyun, oss, fs, memory"],
    );
    refused(
        "images: {security: {salt: x}}",
        "images.security.salt",
        &["token_salt"],
    );
    refused(
        "server: {trusted_proxies: [10.0.0.0/33]}",
        "server.trusted_proxies",
        &["expected a network"],
    );
    refused(
        "server: {host: gateway}",
        "server.host",
        &["expected an absolute http or https URL"],
    );
    refused(
        "control: {tokens: ['sha256:geheim']}",
        "control.tokens.0",
        &["expected 64 hex digits"],
    );
    refused(
        "callback: {secret: [whsec_geheim]}",
        "callback.secret.0",
        &["24 to 64 bytes"],
    );
}

#[test]
fn errors_name_a_file_that_cannot_be_read() {
    let missing = Config::load(
        &ConfigSource::File("/nowhere/a.yaml".into()),
        &BTreeMap::new(),
    );
    let error = missing.expect_err("missing").to_string();
    assert!(error.contains("/nowhere/a.yaml: cannot read"), "{error}");
    for (yaml, expected) in [
        (
            "server: {listen: ':1'}\nserver: {}",
            "duplicate entry with key \"server\"",
        ),
        (
            "server:\n  listen: ':1'\n  listen: ':2'",
            "duplicate entry with key \"listen\"",
        ),
        ("server: [", "not valid YAML"),
        ("- server", "expected groups of keys"),
    ] {
        let error = load(yaml).expect_err(yaml);
        assert!(
            error.contains("config.yaml: ") && error.contains(expected),
            "{error}"
        );
    }
}

#[test]
fn an_empty_file_lacks_a_control_token_only() {
    for yaml in ["", "# nothing\n", "{}"] {
        refused(
            yaml,
            "control.tokens",
            &["no control token: expected at least one"],
        );
        assert!(load_with(yaml, &[("CONTROL__TOKENS", "one")]).is_ok());
    }
}

#[test]
fn all_problems_are_reported_together() {
    let error = load("server: {listen: x}\nlimits: {idle: 1}\ncors: 7\nsled: {path: []}")
        .expect_err("four");
    assert_eq!(error.lines().count(), 5, "{error}");
    let error =
        load("limits: {idle_seconds: 0, max_connections: 0}\nbuckets: {b: {}}").expect_err("six");
    for key in [
        "control.tokens",
        "limits.idle_seconds",
        "limits.max_connections",
        "buckets.b.bucket",
        "buckets.b.endpoint",
        "buckets.b.credential",
    ] {
        assert!(error.contains(key), "{key} is not in: {error}");
    }
}

#[test]
fn buckets_need_what_their_provider_needs() {
    let bucket = |fields: &str, key: &str, expected: &str| {
        let yaml = format!(
            "{MINIMAL}credentials: {{c: {{access_key: a, secret_key: b}}}}\nbuckets: {{x.y: {{{fields}}}}}"
        );
        refused(&yaml, &format!("buckets.x.y.{key}"), &[expected]);
    };
    bucket(
        "bucket: b, region: r, credential: d",
        "credential",
        "no credential is named `d`: expected one of `credentials`: c",
    );
    bucket(
        "bucket: b, region: r",
        "credential",
        "missing: expected one of `credentials`: c",
    );
    bucket("region: r, credential: c", "bucket", "missing");
    bucket(
        "bucket: b, credential: c",
        "endpoint",
        "expected `endpoint` or `region`",
    );
    bucket(
        "bucket: b, credential: c, endpoint: cos.example.com",
        "endpoint",
        "absolute http",
    );
    bucket(
        "bucket: b, region: r, credential: c, root: /x",
        "root",
        "only buckets of provider `fs`",
    );
    bucket("provider: fs", "root", "missing: expected a folder");
    bucket("provider: fs, root: ./data", "root", "token store's folder");
    bucket(
        "provider: fs, root: /x, credential: c",
        "credential",
        "means nothing",
    );
    bucket(
        "provider: memory, root: /x",
        "root",
        "only buckets of provider `fs`",
    );
    bucket(
        "provider: oss, backend: aws, bucket: b, region: r, credential: c",
        "backend",
        "`aws` speaks to",
    );
    refused(
        &format!("{MINIMAL}credentials: {{c: {{access_key: geheim}}}}"),
        "credentials.c.secret_key",
        &["expected `secret_key` or `secret_key_file`"],
    );
}

#[test]
fn ranges_are_checked() {
    for (yaml, key) in [
        ("callback: {timeout_seconds: 0}", "callback.timeout_seconds"),
        (
            "callback: {retry_seconds: [5, 0]}",
            "callback.retry_seconds",
        ),
        ("callback: {concurrency: 0}", "callback.concurrency"),
        ("callback: {max_pending: 0}", "callback.max_pending"),
        (
            "callback: {dead_letter_days: 999999}",
            "callback.dead_letter_days",
        ),
        (
            "limits: {header_read_seconds: 0}",
            "limits.header_read_seconds",
        ),
        (
            "limits: {shutdown_seconds: 100000}",
            "limits.shutdown_seconds",
        ),
        (
            "cors: {allowed_origins: ['https://a.example/']}",
            "cors.allowed_origins",
        ),
        ("cors: {max_age_seconds: 100000}", "cors.max_age_seconds"),
        ("sled: {path: ''}", "sled.path"),
        ("direct: {max_seconds: 0}", "direct.max_seconds"),
        ("redis: {addr: localhost}", "redis.addr"),
        ("redis: {addr: [a:1, b:2]}", "redis.addr"),
        ("redis: {mode: sentinel}", "redis.master_name"),
        ("redis: {mode: cluster, db: 1}", "redis.db"),
        ("redis: {tls_ca_file: Cargo.toml}", "redis.tls_ca_file"),
        (
            "redis: {tls: true, tls_ca_file: Cargo.toml}",
            "redis.tls_ca_file",
        ),
        (
            "redis: {tls: true, tls_key_file: /nowhere}",
            "redis.tls_key_file",
        ),
        (
            "redis: {tls: true, tls_cert_file: Cargo.toml}",
            "redis.tls_cert_file",
        ),
        ("images: {bucket: nowhere}", "images.bucket"),
        ("token_store: {kind: redis}", "redis"),
    ] {
        refused(&format!("{MINIMAL}{yaml}"), key, &["expected"]);
    }
}

/// Addresses are logged.
#[test]
fn an_address_of_redis_with_a_password_is_refused_and_not_repeated() {
    for address in [
        "redis://:geheim@host:6379",
        "user:geheim@host:6379",
        "redis://host:6379",
        "host:6379/geheim",
    ] {
        let error = load(&format!("{MINIMAL}redis: {{addr: '{address}'}}")).expect_err(address);
        assert!(error.contains("redis.addr"), "{error}");
        assert!(error.contains("expected `HOST:PORT`"), "{error}");
        assert!(!error.contains("geheim"), "{error}");
    }
}

#[test]
fn components_of_later_versions_are_refused_by_name() {
    let bucket = "credentials: {c: {access_key: a, secret_key: b}}
buckets: {b: {bucket: b, region: r, credential: c, ";
    for (yaml, key, what) in [
        (
            "images: {bucket: m}\nbuckets: {m: {provider: memory}}",
            "images",
            "the section `images`",
        ),
        ("direct: {}", "direct", "the section `direct`"),
        (
            &format!("{bucket}public_endpoint: 'https://x'}}}}"),
            "buckets.b.public_endpoint",
            "`public_endpoint`",
        ),
        (
            &format!("{bucket}post_signature: v4}}}}"),
            "buckets.b.post_signature",
            "`post_signature`",
        ),
    ] {
        let error = load(&format!("{MINIMAL}{yaml}")).expect_err(yaml);
        let yet = error.contains(&format!("{what} is not part of this version yet"));
        assert!(error.contains(&format!("{key} (")) && yet, "{error}");
    }
}

#[test]
fn an_adapter_is_one_of_the_compiled_ones() {
    use asset_gateway_backends::settings::Adapter;

    use crate::config::features::Feature;

    let (aws, opendal) = (Feature::Aws.is_compiled(), Feature::Opendal.is_compiled());
    let bucket = |provider: &str, backend: &str| {
        let bucket = format!(
            "buckets: {{b: {{provider: {provider}, {backend} bucket: b, region: r, credential: c}}}}"
        );
        let keys = "credentials: {c: {access_key: a, secret_key: b}}";
        load(&format!("{MINIMAL}{keys}\n{bucket}")).map(|config| config.buckets["b"].adapter())
    };
    for provider in ["s3", "ctyun", "cos", "oss"] {
        let prefers_aws = matches!(provider, "s3" | "ctyun");
        match bucket(provider, "") {
            Ok(Adapter::Aws) => assert!(aws && (prefers_aws || !opendal), "{provider}"),
            Ok(Adapter::Opendal) => assert!(opendal && !(aws && prefers_aws), "{provider}"),
            Err(error) => assert!(error.contains("`opendal`") && !opendal, "{error}"),
        }
        for (adapter, name, is_compiled) in [
            (Adapter::Aws, "aws", aws && provider != "oss"),
            (Adapter::Opendal, "opendal", opendal),
        ] {
            match bucket(provider, &format!("backend: {name},")) {
                Ok(picked) => assert!(is_compiled && picked == adapter, "{provider}"),
                Err(error) => {
                    assert!(!is_compiled, "{error}");
                    assert!(
                        error.contains("buckets.b.backend (")
                            && error.contains(&format!("`{name}`")),
                        "{error}"
                    );
                }
            }
        }
    }
}
