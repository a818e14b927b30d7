//! Killed imports and truncated archives: nothing incomplete is served.

use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use asset_gateway_backends::clock::{Clock, SystemClock};
use asset_gateway_backends::open::open_offline;
use asset_gateway_backends::settings::TokenStoreSettings;
use asset_gateway_backends::token_store::{Method, TokenId, TokenRecord};
use asset_gateway_backends::transfer::{Entry, Header, Token, export};
use serde_json::json;
use tempfile::TempDir;

use super::store_move::{entries, fails, store, succeeds};
use crate::support::gateway::{configuration, configure};
use crate::support::process::command;
use crate::support::redis::server::Server;

const TOKENS: u64 = 30_000;

fn token(n: u64) -> Entry {
    let mut id = [0; 16];
    id[..8].copy_from_slice(&n.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
    id[8..].copy_from_slice(&n.to_be_bytes());
    let now = SystemClock.now_seconds();
    let mut record = TokenRecord::new("local", "k", Method::Get, now, now + 3_600);
    record.max_hits = Some(n + 1);
    Entry::Token(Token {
        id: TokenId(id),
        incarnation: n,
        record,
        used_hits: n,
        charged_bytes: 0,
        uploaded_at: None,
        windows: Vec::new(),
    })
}

/// Writes an archive of many tokens and a configuration of both stores to `folder`.
async fn archive(folder: &Path, redis: &Server) {
    configure(folder, configuration(folder));
    let redis = json!({"addr": redis.address()});
    configure(
        folder,
        json!({"redis": redis, "token_store": {"kind": "sled"}}),
    );
    let store = open_offline(&TokenStoreSettings::Memory, true).unwrap();
    store.load((0..TOKENS).map(token).collect()).await.unwrap();
    let now_ms = SystemClock.now_ms();
    let header = Header::new("an-export".into(), "memory", String::new(), "0.1.0", now_ms);
    let mut bytes = Vec::new();
    export(Arc::clone(&store), &header, false, &mut bytes)
        .await
        .unwrap();
    std::fs::write(folder.join("archive.jsonl"), bytes).unwrap();
}

/// Starts an import and kills it once it `has_begun`.
fn killed(folder: &Path, engine: &str, has_begun: impl Fn() -> bool) {
    let mut command = command();
    command.args(["store", "import", "--store", engine, "archive.jsonl"]);
    command.arg("--config").arg(folder.join("config.yaml"));
    command.current_dir(folder).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let began = Instant::now();
    while !has_begun() {
        assert!(began.elapsed() < Duration::from_secs(60), "it never begins");
        std::thread::sleep(Duration::from_millis(1));
    }
    assert!(
        child.try_wait().unwrap().is_none(),
        "it was too fast to be killed"
    );
    child.kill().unwrap();
    child.wait().unwrap();
}

/// Checks that no gateway starts on the store, and that the same import completes it.
fn assert_refused_until_completed(folder: &Path, engine: &str) {
    configure(folder, json!({"token_store": {"kind": engine}}));
    let mut serve = command();
    serve.arg("--config").arg(folder.join("config.yaml"));
    let refused = serve.current_dir(folder).output().unwrap();
    fails(&refused, 1, "an import into this store has not ended");
    let half = store(folder, &["export", "half.jsonl"]);
    fails(&half, 1, "an import that has not ended");
    let said = succeeds(&store(folder, &["import", "archive.jsonl"]));
    assert!(said.contains("30000 tokens"), "{said}");
    succeeds(&store(folder, &["export", "whole.jsonl"]));
    let whole = entries(&folder.join("whole.jsonl"));
    assert!(whole == entries(&folder.join("archive.jsonl")));
    fails(
        &store(folder, &["import", "archive.jsonl"]),
        1,
        "is not empty",
    );
}

#[tokio::test]
async fn a_killed_import_into_redis_is_run_again() {
    let (folder, redis) = (tempfile::tempdir().unwrap(), Server::start());
    archive(folder.path(), &redis).await;
    killed(folder.path(), "redis", || {
        let keys = redis.cli(&["DBSIZE"]);
        keys.trim().parse::<u64>().unwrap_or_default() > 2_000
    });
    assert_refused_until_completed(folder.path(), "redis");
}

#[tokio::test]
async fn a_killed_import_into_sled_is_run_again() {
    let (folder, redis) = (tempfile::tempdir().unwrap(), Server::start());
    archive(folder.path(), &redis).await;
    let database = folder.path().join("tokens/db");
    killed(folder.path(), "sled", || {
        database
            .metadata()
            .is_ok_and(|file| file.len() > 2 * 1024 * 1024)
    });
    assert_refused_until_completed(folder.path(), "sled");
}

fn edited(folder: &TempDir, name: &str, edit: impl FnOnce(String) -> String) -> String {
    let text = std::fs::read_to_string(folder.path().join("archive.jsonl")).unwrap();
    std::fs::write(folder.path().join(name), edit(text)).unwrap();
    name.to_owned()
}

/// Refused before a key is written.
#[tokio::test]
async fn an_incomplete_archive_is_refused_before_anything_is_written() {
    let (folder, redis) = (tempfile::tempdir().unwrap(), Server::start());
    archive(folder.path(), &redis).await;
    let cut = edited(&folder, "cut", |mut text| {
        text.truncate(text.len() / 2);
        text
    });
    let changed = edited(&folder, "changed", |text| {
        text.replacen("\"used_hits\":7}", "\"used_hits\":0}", 1)
    });
    std::fs::write(folder.path().join("other.txt"), "hello\n").unwrap();
    let version = edited(&folder, "version", |text| {
        text.replacen("\"version\":1", "\"version\":9", 1)
    });
    for (name, said) in [
        (cut.as_str(), "cut off"),
        (&changed, "edited"),
        (&version, "format version 9"),
        ("nowhere", "No such file"),
        ("other.txt", "not an archive"),
    ] {
        for engine in ["redis", "sled"] {
            let output = store(folder.path(), &["import", "--store", engine, name]);
            fails(&output, 1, said);
        }
    }
    assert_eq!(redis.cli(&["DBSIZE"]), "0\n");
    assert!(!folder.path().join("tokens").exists());
    fails(
        &store(folder.path(), &["export", "-"]),
        1,
        "there is no store at",
    );
    let _running = redis;
}

#[tokio::test]
async fn an_export_is_piped_into_an_import() {
    let (folder, redis) = (tempfile::tempdir().unwrap(), Server::start());
    archive(folder.path(), &redis).await;
    succeeds(&store(folder.path(), &["import", "archive.jsonl"]));
    let binary = env!("CARGO_BIN_EXE_asset-gateway");
    let config = folder.path().join("config.yaml").display().to_string();
    let pipe = format!(
        "{binary} store export - --config {config} | {binary} store import --store redis - --config {config}"
    );
    let piped = std::process::Command::new("bash")
        .args(["-euo", "pipefail", "-c", &pipe])
        .output()
        .unwrap();
    assert!(succeeds(&piped).contains("imported into redis and compared: 30000 tokens"));
}

#[tokio::test]
async fn a_store_without_a_configuration_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    configure(folder.path(), configuration(folder.path()));
    let output = store(folder.path(), &["export", "--store", "redis", "x"]);
    fails(&output, 2, "a section `redis`");
    assert_eq!(store(folder.path(), &["export"]).status.code(), Some(2));
}
