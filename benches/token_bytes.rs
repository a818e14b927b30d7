//! Bytes that a token takes in each store, created through the port in batches of 1,000.
//!
//! `cargo bench --bench token_bytes --features redis -- 1000000`; 100,000 tokens without a number. The
//! figures do not depend on the profile. Each store and kind of token is measured in its own process.

use std::io::{BufRead, Read};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Instant;

use asset_gateway_backends::clock::{Clock, SystemClock};
use asset_gateway_backends::open::open_stores;
use asset_gateway_backends::settings::{QueueLimits, SledSettings, TokenStoreSettings};
use asset_gateway_backends::token_store::{Created, Method, TokenId, TokenRecord, TokenStore};
use sha2::{Digest, Sha256};

use server::Server;

#[allow(
    dead_code,
    clippy::unwrap_used,
    reason = "it belongs to the tests of the stores, too"
)]
#[path = "../backends/tests/stores/redis/support/server.rs"]
mod server;

const BATCH: u64 = 1_000;
const STORES: [&str; 2] = ["redis", "sled"];
/// `bare`: bucket, key and a limit. `rich`: also a file name, a callback, metadata and two tags.
const KINDS: [&str; 2] = ["bare", "rich"];

fn token(kind: &str, n: u64, now: u64) -> (TokenId, TokenRecord) {
    let mut id = [0; 16];
    id.copy_from_slice(&Sha256::digest(n.to_be_bytes())[..16]);
    let key = format!("uploads/2026/11/{n:012}.pdf");
    let mut record = TokenRecord::new("prod-assets", &key, Method::Get, now, now + 86_400);
    record.max_hits = Some(3);
    if kind == "rich" {
        record.filename = format!("report {n}.pdf");
        record.callback = Some("https://back.example.com/webhook/asset".to_owned());
        record.tags = vec![format!("order-{}", n / 10), "reports".to_owned()];
        let metadata = [("order", n / 10), ("customer", n / 100)];
        let metadata = metadata.map(|(name, value)| (name.to_owned(), value.to_string()));
        record.metadata = metadata.into_iter().collect();
    }
    (TokenId(id), record)
}

async fn fill(store: &dyn TokenStore, kind: &str, count: u64) {
    let now = SystemClock.now_seconds();
    for batch in 0..count / BATCH {
        let tokens = (batch * BATCH..(batch + 1) * BATCH).map(|n| token(kind, n, now));
        let created = store.create(tokens.collect()).await;
        assert_eq!(created.expect("created"), Created::Done);
    }
    // Closing waits until everything is written.
    store.close().await.expect("written");
}

/// `used_memory` of Redis' `INFO memory`.
fn redis_bytes(redis: &Server) -> u64 {
    let mut answer = redis.send(&[b"INFO".to_vec(), b"memory".to_vec()]);
    let mut line = String::new();
    answer.read_line(&mut line).expect("an answer");
    let length = line.trim_start_matches('$').trim_end().parse::<usize>();
    let mut text = vec![0; length.expect("a length")];
    answer.read_exact(&mut text).expect("an answer");
    let text = String::from_utf8(text).expect("text");
    let used = text
        .lines()
        .find_map(|line| line.strip_prefix("used_memory:"));
    used.and_then(|used| used.parse().ok()).expect("a number")
}

/// Resident memory of this process.
fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
    kib.expect("a number") * 1024
}

fn folder_bytes(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).expect("a folder").flatten();
    let sizes = entries.map(|entry| match entry.file_type() {
        Ok(kind) if kind.is_dir() => folder_bytes(&entry.path()),
        _ => entry.metadata().map_or(0, |metadata| metadata.len()),
    });
    sizes.sum()
}

async fn measure(store: &str, kind: &str, count: u64) {
    let each = |before: u64, after: u64| after.saturating_sub(before) / count;
    let limits = QueueLimits::default();
    let began = Instant::now();
    match store {
        "redis" => {
            let redis = Server::start();
            let settings = TokenStoreSettings::Redis(redis.settings());
            let stores = match open_stores(&settings, limits, Arc::new(SystemClock)) {
                Ok(stores) => stores,
                // Not compiled in.
                Err(error) => return println!("redis: {error}"),
            };
            let before = redis_bytes(&redis);
            fill(stores.tokens.as_ref(), kind, count).await;
            let bytes = each(before, redis_bytes(&redis));
            println!("redis, {kind}: {bytes} bytes of memory for each token");
        }
        _ => {
            let folder = tempfile::tempdir().expect("a folder");
            let path = folder.path().join("tokens");
            let settings = TokenStoreSettings::Sled(SledSettings { path: path.clone() });
            let stores = open_stores(&settings, limits, Arc::new(SystemClock)).expect("a store");
            let before = resident_bytes();
            fill(stores.tokens.as_ref(), kind, count).await;
            let memory = each(before, resident_bytes());
            let disk = each(0, folder_bytes(&path));
            println!("sled, {kind}: {disk} bytes on disk, {memory} of memory for each token");
        }
    }
    println!("  {count} tokens in {:.0} s", began.elapsed().as_secs_f64());
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = arguments.iter().find_map(|argument| argument.parse().ok());
    let count = number.unwrap_or(100_000_u64).max(BATCH);
    if let [store, kind, ..] = arguments.as_slice()
        && STORES.contains(&store.as_str())
    {
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        runtime.block_on(measure(store, kind, count));
        return;
    }
    let this = std::env::current_exe().expect("this program");
    for store in STORES {
        for kind in KINDS {
            let mut one = Command::new(&this);
            one.args([store, kind, &count.to_string()]);
            assert!(one.status().expect("it runs").success());
        }
    }
}
