//! A start without a configuration, and its banner.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use serde_json::json;

use crate::support::api::{answer, until};
use crate::support::gateway::Gateway;

async fn banner(gateway: &Gateway) -> String {
    let printed = async || gateway.stdout().contains("curl -fsS \"$GET_URL\"");
    until("the banner", printed).await;
    gateway.stdout()
}

fn kept_token(folder: &Path) -> String {
    let text = std::fs::read_to_string(folder.join("data/control-token")).unwrap();
    text.trim().to_owned()
}

#[tokio::test]
async fn the_banners_commands_work_when_pasted() {
    let folder = Arc::new(tempfile::tempdir().unwrap());
    let gateway = Gateway::embedded(&folder);
    let text = banner(&gateway).await;
    let token = kept_token(folder.path());
    assert!(
        text.contains(&format!("-H 'Authorization: Bearer {token}'")),
        "{text}"
    );
    assert!(!gateway.log().contains(&token));

    let (_, commands) = text.split_once("\n\n").unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    let (commands, elsewhere_path) = (commands.to_owned(), elsewhere.path().to_owned());
    let pasted = tokio::task::spawn_blocking(move || {
        Command::new("bash")
            .args(["-euc", &commands])
            .current_dir(elsewhere_path)
            .env("no_proxy", "127.0.0.1")
            .output()
            .unwrap()
    });
    let pasted = pasted.await.unwrap();
    assert!(pasted.status.success(), "{pasted:?}");
    let stdout = String::from_utf8(pasted.stdout).unwrap();
    let (stored, downloaded) = stdout.split_once('\n').unwrap();
    let stored: serde_json::Value = serde_json::from_str(stored).unwrap();
    assert_eq!(stored["size"], 24);
    assert_eq!(downloaded, "Hello from AssetGateway\n");
    let object = folder.path().join("data/objects/hello.txt");
    assert_eq!(
        std::fs::read_to_string(object).unwrap(),
        "Hello from AssetGateway\n"
    );
}

#[tokio::test]
async fn the_control_token_is_private_and_stays_the_same() {
    let folder = Arc::new(tempfile::tempdir().unwrap());
    let gateway = Gateway::embedded(&folder);
    let first = banner(&gateway).await;
    let token = kept_token(folder.path());
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let file = folder.path().join("data/control-token");
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    }
    let listed = gateway.plain("GET", "/tokens").bearer_auth(&token);
    assert_eq!(answer(listed).await.status, 200);
    let made = gateway.plain("POST", "/token").bearer_auth(&token);
    let made = made.json(&json!({"bucket": "local", "key": "k", "method": "PUT", "token": "t"}));
    assert_eq!(answer(made).await.status, 201);
    assert_eq!(gateway.put("t", "kept").await.status, 200);
    gateway.stop();

    let gateway = Gateway::embedded(&folder);
    let second = banner(&gateway).await;
    assert!(first.contains(&token) && second.contains(&token));
    assert_eq!(kept_token(folder.path()), token);
    let shown = answer(gateway.plain("GET", "/token/t").bearer_auth(&token)).await;
    assert_eq!(shown.json()["used_hits"], 1);
    assert_eq!(gateway.head("t").await.header("content-length"), Some("4"));
}
