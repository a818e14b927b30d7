//! Permissions of the gateway's files.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::json;

use crate::support::gateway::Gateway;

const TIGHTENED: &str = "group or others had rights on a private path; they were removed";

fn mode(path: &Path) -> u32 {
    path.metadata().unwrap().permissions().mode() & 0o777
}

fn set_mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

/// `folder` and everything in it.
fn all(folder: &Path) -> Vec<PathBuf> {
    let mut found = vec![folder.to_owned()];
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => found.extend(all(&path)),
            false => found.push(path),
        }
    }
    found
}

fn assert_private(folder: &Path) {
    for path in all(folder) {
        let expected = if path.is_dir() { 0o700 } else { 0o600 };
        assert_eq!(mode(&path), expected, "{}", path.display());
    }
}

#[tokio::test]
async fn store_files_are_private_and_are_made_private_again() {
    let gateway = Gateway::start();
    gateway.store("a/b", "text/plain", "x").await;
    let tokens = gateway.folder().join("tokens");
    assert_private(&tokens);
    assert!(gateway.logged(TIGHTENED).is_empty(), "{}", gateway.log());

    let stopped = gateway.stop();
    for path in all(&tokens) {
        set_mode(&path, if path.is_dir() { 0o755 } else { 0o644 });
    }
    let objects = stopped.folder().join("objects");
    let own = objects.join(".asset-gateway");
    set_mode(&own, 0o755);
    set_mode(&objects.join("a"), 0o775);
    set_mode(&objects.join("a/b"), 0o664);
    let gateway = stopped.start();
    assert_private(&tokens);
    assert_private(&own);
    let said: Vec<_> = gateway.logged(TIGHTENED);
    let said_of = |path: &Path| {
        let path = json!(path.display().to_string());
        said.iter().any(|line| line["file.path"] == path)
    };
    assert!(
        said_of(&tokens) && said_of(&tokens.join("db")) && said_of(&own),
        "{said:?}"
    );
    // Permissions of objects are not changed.
    assert_eq!(
        (mode(&objects.join("a")), mode(&objects.join("a/b"))),
        (0o775, 0o664)
    );

    // The next start has nothing to change.
    let gateway = gateway.stop().start();
    assert!(gateway.logged(TIGHTENED).is_empty(), "{}", gateway.log());
}

#[tokio::test]
async fn embedded_data_is_private() {
    let folder = Arc::new(tempfile::tempdir().unwrap());
    let data = folder.path().join("data");
    let gateway = Gateway::embedded(&folder);
    let token = data.join("control-token");
    assert_eq!((mode(&data), mode(&token)), (0o700, 0o600));
    assert_private(&data.join("tokens"));
    gateway.stop();
    set_mode(&data, 0o755);
    set_mode(&token, 0o644);
    let gateway = Gateway::embedded(&folder);
    assert_eq!((mode(&data), mode(&token)), (0o700, 0o600));
    assert_eq!(gateway.logged(TIGHTENED).len(), 2, "{}", gateway.log());
}
