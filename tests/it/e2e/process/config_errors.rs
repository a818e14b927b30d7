//! `check` and the start refuse the same configurations with the same message.

use std::path::Path;
use std::process::Output;

use serde_json::{Value, json};

#[cfg(feature = "opendal")]
use crate::support::gateway::Gateway;
use crate::support::process::command;

fn run(folder: &Path, subcommand: &str) -> (Option<i32>, String) {
    let mut command = command();
    command.current_dir(folder).arg(subcommand);
    let Output { status, stderr, .. } = command.args(["--config", "c.yaml"]).output().unwrap();
    (status.code(), String::from_utf8(stderr).unwrap())
}

/// A configuration that is valid except for `change`.
fn with(change: Value) -> Value {
    let mut whole = json!({
        "server": {"listen": "127.0.0.1:0"},
        "metrics": {"listen": "127.0.0.1:0"},
        "sled": {"path": "tokens"},
        "control": {"tokens": ["a"]},
        "credentials": {"c": {"access_key": "never-shown", "secret_key": "never-shown"}},
        "buckets": {"b": {"provider": "memory"}},
    });
    for (section, value) in change.as_object().unwrap() {
        whole[section] = value.clone();
    }
    whole
}

/// A remote bucket with `more` keys.
fn bucket(provider: &str, more: Value) -> Value {
    let mut bucket = json!({"provider": provider, "bucket": "b", "region": "r", "credential": "c"});
    for (key, value) in more.as_object().unwrap() {
        bucket[key] = value.clone();
    }
    with(json!({"buckets": {"b": bucket}}))
}

/// Configuration, the wrong key, a word of the reason.
fn refused() -> Vec<(Value, &'static str, &'static str)> {
    let mut refused = vec![
        // Rules of single sections.
        (with(json!({"sever": {}})), "sever", "unknown key"),
        (
            with(json!({"server": {"listen": "80"}})),
            "server.listen",
            "`:PORT`",
        ),
        (
            with(json!({"server": {"host": "x"}})),
            "server.host",
            "absolute",
        ),
        (
            with(json!({"server": {"trusted_proxies": ["x"]}})),
            "server.trusted_proxies",
            "network",
        ),
        (
            with(json!({"metrics": {"listen": "x"}})),
            "metrics.listen",
            "`:PORT`",
        ),
        (with(json!({"sled": {"path": ""}})), "sled.path", "folder"),
        (
            with(json!({"control": {"tokens": []}})),
            "control.tokens",
            "no control token",
        ),
        (
            with(json!({"control": {"tokens_file": "absent"}})),
            "control.tokens_file",
            "absent",
        ),
        (
            with(json!({"control": {"tokens": ["a"], "token_pepper_file": "absent"}})),
            "control.token_pepper_file",
            "absent",
        ),
        (
            with(json!({"credentials": {"c": {}}})),
            "credentials.c.access_key",
            "missing",
        ),
        (
            with(json!({"credentials": {"c": {"source": "file", "file": "absent"}}})),
            "credentials.c.file",
            "absent",
        ),
        (
            with(json!({"callback": {"secret": ["x"]}})),
            "callback.secret",
            "whsec_",
        ),
        (
            with(json!({"callback": {"timeout_seconds": 0}})),
            "callback.timeout_seconds",
            "3600",
        ),
        (
            with(json!({"callback": {"deny_networks": ["x"]}})),
            "callback.deny_networks",
            "network",
        ),
        (
            with(json!({"callback": {"allowed_hosts": ["*"]}})),
            "callback.allowed_hosts",
            "host",
        ),
        (
            with(json!({"cors": {"allowed_origins": ["x"]}})),
            "cors.allowed_origins",
            "expected",
        ),
        (
            with(json!({"limits": {"max_connections": 0}})),
            "limits.max_connections",
            "1000000",
        ),
        (
            with(json!({"direct": {}})),
            "direct",
            "not part of this version",
        ),
        (
            with(json!({"images": {"bucket": "b"}})),
            "images",
            "not part of this version",
        ),
        // Rules across several keys.
        (
            with(json!({"server": {"listen": ":18080"}, "metrics": {"listen": "127.0.0.1:18080"}})),
            "metrics.listen",
            "another port",
        ),
        (
            with(json!({"buckets": {"b": {"provider": "fs", "root": "."}}})),
            "buckets.b.root",
            "token store",
        ),
        // Settings that stores and buckets refuse when they are opened.
        (
            with(json!({"sled": {"path": "file/tokens"}})),
            "sled",
            "is not a folder",
        ),
        (
            with(json!({"buckets": {"b": {"provider": "fs", "root": "file"}}})),
            "buckets.b",
            "is not a folder",
        ),
        (
            with(json!({"buckets": {"b": {"provider": "fs"}}})),
            "buckets.b.root",
            "missing",
        ),
        (
            bucket("s3", json!({"bucket": ""})),
            "buckets.b.bucket",
            "missing",
        ),
        (
            bucket("s3", json!({"region": ""})),
            "buckets.b.endpoint",
            "`region`",
        ),
        (
            bucket("s3", json!({"credential": "d"})),
            "buckets.b.credential",
            "`d`",
        ),
        (
            bucket("s3", json!({"endpoint": "ftp://h"})),
            "buckets.b.endpoint",
            "http",
        ),
        (
            bucket("oss", json!({"backend": "aws"})),
            "buckets.b.backend",
            "`opendal`",
        ),
    ];
    let adapters: &[&str] = match cfg!(feature = "aws") {
        true => &["opendal", "aws"],
        false => &["opendal"],
    };
    for adapter in adapters {
        let of = |provider, key: &str, value: Value| {
            bucket(provider, json!({"backend": adapter, key: value}))
        };
        for provider in ["s3", "cos", "ctyun"] {
            refused.extend(wrong_endpoints(provider, adapter));
        }
        let path_style = of("cos", "force_path_style", json!(true));
        refused.push((
            path_style,
            "buckets.b.force_path_style",
            "`force_path_style` to be left out",
        ));
    }
    refused.extend(wrong_endpoints("oss", "opendal"));
    let path_style = bucket("oss", json!({"force_path_style": true}));
    refused.push((
        path_style,
        "buckets.b.force_path_style",
        "`force_path_style` to be left out",
    ));
    for endpoint in [
        "https://oss-accelerate.aliyuncs.com",
        "https://b.assets.example.com",
    ] {
        let without_region = bucket("oss", json!({"region": "", "endpoint": endpoint}));
        refused.push((without_region, "buckets.b.region", "such as cn-hangzhou"));
    }
    if cfg!(feature = "redis") {
        let redis = |section: Value| with(json!({"redis": section}));
        refused.extend([
            (
                redis(json!({"mode": "sentinel"})),
                "redis.master_name",
                "missing",
            ),
            (redis(json!({"addr": "h"})), "redis.addr", "`HOST:PORT`"),
            (
                redis(json!({"addr": "redis://u:p@h:1"})),
                "redis.addr",
                "no URL",
            ),
            (redis(json!({"mode": "cluster", "db": 1})), "redis.db", "0"),
            (
                redis(json!({"tls": true, "tls_ca_file": "broken.pem"})),
                "redis",
                "redis.open",
            ),
        ]);
    }
    refused
}

/// Forms of `endpoint` that a cloud does not take; each answer names the right one.
fn wrong_endpoints(provider: &str, adapter: &str) -> Vec<(Value, &'static str, &'static str)> {
    let right = match provider {
        "s3" => "https://s3.REGION.amazonaws.com",
        "ctyun" => "https://REGION.zos.ctyun.cn",
        "cos" => "https://cos.REGION.myqcloud.com",
        _ => "https://oss-REGION.aliyuncs.com",
    };
    let mut endpoints = vec!["https://h/path"];
    if matches!(provider, "cos" | "oss") {
        endpoints.push("http://127.0.0.1:9000");
    }
    let refused = endpoints.into_iter().map(|endpoint| {
        let keys = json!({"backend": adapter, "endpoint": endpoint});
        (bucket(provider, keys), "buckets.b.endpoint", right)
    });
    refused.collect()
}

#[test]
fn check_and_start_refuse_the_same_configurations() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    std::fs::write(at("file"), "a file, no folder").unwrap();
    let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    std::fs::write(at("broken.pem"), broken).unwrap();
    for (whole, key, reason) in refused() {
        std::fs::write(at("c.yaml"), whole.to_string()).unwrap();
        let (code, said) = run(folder.path(), "check");
        assert_eq!(code, Some(2), "{whole}: {said}");
        let line = said.lines().find(|line| {
            let line = line.trim();
            line.starts_with(&format!("{key} ")) || line.starts_with(&format!("{key}."))
        });
        let line = line.unwrap_or_else(|| panic!("{key} is not in {said}"));
        assert!(
            line.contains(reason) && line.contains("(c.yaml)"),
            "{reason}: {said}"
        );
        assert!(!said.contains("never-shown"), "{said}");
        assert_eq!(run(folder.path(), "serve"), (Some(2), said), "{whole}");
    }
    // Neither has created a file.
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 3);
}

#[test]
fn check_refuses_a_log_setting_that_stops_the_start() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("c.yaml"), with(json!({})).to_string()).unwrap();
    for (variable, value) in [("ASSET_GATEWAY_LOG_FORMAT", "xml"), ("RUST_LOG", "a=b=c")] {
        let said = ["check", "serve"].map(|subcommand| {
            let mut command = command();
            command.current_dir(folder.path()).env(variable, value);
            let output = command
                .args([subcommand, "--config", "c.yaml"])
                .output()
                .unwrap();
            let said = String::from_utf8(output.stderr).unwrap();
            (output.status.code(), said)
        });
        assert_eq!(said[0].0, Some(2), "{said:?}");
        assert!(said[0].1.contains(variable), "{said:?}");
        assert_eq!(said[0], said[1]);
    }
}

#[cfg(feature = "opendal")]
#[tokio::test]
async fn an_oss_region_that_is_not_the_endpoints_is_a_warning() {
    let bucket = |region: &str| {
        json!({"provider": "oss", "bucket": "shop", "credential": "c", "region": region,
            "endpoint": "https://oss-cn-hangzhou.aliyuncs.com"})
    };
    let gateway = Gateway::with(json!({
        "credentials": {"c": {"access_key": "a", "secret_key": "never-shown"}},
        "buckets": {"same": bucket("oss-cn-hangzhou"), "other": bucket("cn-beijing")},
    }));
    let message = "OSS may refuse signatures: `region` is not the one that `endpoint` names";
    let warnings = gateway.logged(message);
    assert_eq!(warnings.len(), 1, "{}", gateway.log());
    assert_eq!(warnings[0]["region"], "cn-beijing");
    assert_eq!(warnings[0]["region_of_endpoint"], "cn-hangzhou");
    assert!(!gateway.log().contains("never-shown"));
}
