//! `check`, `--version` and the config argument.

use std::path::Path;
use std::process::Output;

use crate::support::gateway::Gateway;
use crate::support::process::command;

fn run(folder: &Path, arguments: &[&str]) -> (i32, String, String) {
    let mut command = command();
    let output: Output = command
        .current_dir(folder)
        .args(arguments)
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (
        output.status.code().unwrap(),
        text(&output.stdout),
        text(&output.stderr),
    )
}

const GOOD: &str = "server: {listen: \":0\"}\nsled: {path: tokens}\ncontrol: {tokens: [a]}\n\
                    buckets: {local: {provider: memory}}\n";

#[test]
fn check_accepts_every_form_of_the_config_argument() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("good.yaml"), GOOD).unwrap();
    for arguments in [
        &["check", "--config", "good.yaml"][..],
        &["check", "-config", "good.yaml"],
        &["check", "-config=good.yaml"],
        &["--config=good.yaml", "check"],
    ] {
        let (code, stdout, stderr) = run(folder.path(), arguments);
        assert_eq!(
            (code, stdout.as_str()),
            (0, "configuration is valid\n"),
            "{stderr}"
        );
    }
    // Nothing was started or created.
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    let (code, ..) = run(folder.path(), &["check"]);
    assert_eq!(code, 0, "embedded parts need no file");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn a_wrong_configuration_is_refused_with_key_and_reason() {
    let folder = tempfile::tempdir().unwrap();
    for (text, parts) in [
        (
            GOOD.replace("listen", "lisen"),
            &["server.lisen", "expected one of listen"][..],
        ),
        (
            GOOD.replace("[a]", "[]"),
            &["control.tokens", "expected at least one"],
        ),
        (
            GOOD.replace("memory", "s3"),
            &["buckets.local.credential", "missing"],
        ),
        (
            GOOD.replace("memory", "s4"),
            &["buckets.local.provider", "s4", "expected one of"],
        ),
        (
            format!("{GOOD}limits: {{idle_seconds: long}}"),
            &["limits.idle_seconds", "number"],
        ),
        (
            format!("{GOOD}redis: {{addr: \"h:1\", mode: sentinel}}\ntoken_store: {{kind: redis}}"),
            &["redis"],
        ),
        ("a: [".to_owned(), &["bad.yaml"]),
    ] {
        std::fs::write(folder.path().join("bad.yaml"), &text).unwrap();
        for arguments in [
            &["check", "--config", "bad.yaml"][..],
            &["-config", "bad.yaml"],
        ] {
            let (code, stdout, stderr) = run(folder.path(), arguments);
            assert_eq!((code, stdout.as_str()), (2, ""), "{text}: {stderr}");
            assert!(stderr.contains("bad.yaml"), "{stderr}");
            for part in parts {
                assert!(stderr.contains(part), "`{part}` is not in {stderr}");
            }
        }
    }
    let (code, _, stderr) = run(folder.path(), &["check", "--config", "absent.yaml"]);
    assert_eq!(code, 2);
    assert!(stderr.contains("absent.yaml"), "{stderr}");
}

#[test]
fn the_version_names_the_features() {
    let folder = tempfile::tempdir().unwrap();
    let (code, stdout, _) = run(folder.path(), &["--version"]);
    assert_eq!(code, 0);
    assert!(
        stdout.starts_with(concat!("asset-gateway ", env!("CARGO_PKG_VERSION"))),
        "{stdout}"
    );
    assert!(
        stdout.contains("features: ") && stdout.contains("opendal"),
        "{stdout}"
    );
    let (code, _, stderr) = run(folder.path(), &["--unknown"]);
    assert_eq!(code, 2, "{stderr}");
}

#[tokio::test]
async fn the_environment_overrides_the_file() {
    let host = "https://from.the.environment";
    let builder = Gateway::builder().variable("ASSET_GATEWAY__SERVER__HOST", host);
    let gateway = builder.start();
    let body = serde_json::json!({"key": "k", "method": "GET"});
    let url = gateway.create(body).await.json()["url"].to_string();
    assert!(
        url.contains("https://from.the.environment/object/"),
        "{url}"
    );
}
