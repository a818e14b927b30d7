//! A store that moves between sled and Redis keeps all of its entries.

mod filled_store;
mod unfinished_import;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use asset_gateway_backends::clock::{Clock, SystemClock};
use asset_gateway_backends::open::{Stores, open_offline, open_stores};
use asset_gateway_backends::settings::{QueueLimits, SledSettings, TokenStoreSettings};
use asset_gateway_backends::transfer::{Archive, Counts, Header, TransferError, export, import};

use self::filled_store::{COUNTS, check_filled, fill};
use super::redis::support::cluster::Cluster;
use super::redis::support::server::Server;

const LIMITS: QueueLimits = QueueLimits {
    max_pending: 1_000,
    report_incomplete: true,
    keep_dead: None,
};

async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let began = Instant::now();
    while !holds().await {
        assert!(
            began.elapsed() < Duration::from_secs(20),
            "not within 20 s: {what}"
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn sled(path: &Path) -> TokenStoreSettings {
    TokenStoreSettings::Sled(SledSettings { path: path.into() })
}

fn redis(server: &Server) -> TokenStoreSettings {
    TokenStoreSettings::Redis(server.settings())
}

fn serve(settings: &TokenStoreSettings) -> Stores {
    open_stores(settings, LIMITS, Arc::new(SystemClock)).unwrap()
}

fn header(engine: &str) -> Header {
    let now_ms = SystemClock.now_ms();
    Header::new(
        format!("of-{engine}-{now_ms}"),
        engine,
        String::new(),
        "test",
        now_ms,
    )
}

async fn exported(settings: &TokenStoreSettings) -> Vec<u8> {
    let store = open_offline(settings, false).unwrap();
    let mut archive = Vec::new();
    let header = header(store.engine());
    export(store, &header, false, &mut archive).await.unwrap();
    archive
}

async fn imported(archive: &[u8], settings: &TokenStoreSettings) -> Result<Counts, TransferError> {
    let store = open_offline(settings, true).unwrap();
    let checked = Archive::check(archive, SystemClock.now_seconds()).unwrap();
    import(store, &checked, archive, false).await
}

/// The lines of an archive without header and trailer, sorted.
fn entries(archive: &[u8]) -> Vec<String> {
    let text = String::from_utf8(archive.to_vec()).unwrap();
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    lines.remove(0);
    lines.pop();
    lines.sort();
    lines
}

/// Moves a filled store from sled to `there` and on to another sled: all archives are equal.
async fn round_trip(there: &TokenStoreSettings) {
    let folder = tempfile::tempdir().unwrap();
    let [first, last] = ["first", "last"].map(|name| sled(&folder.path().join(name)));
    fill(&first).await;
    let archive = exported(&first).await;
    assert_eq!(imported(&archive, there).await.unwrap(), COUNTS);
    let again = exported(there).await;
    assert_eq!(entries(&archive), entries(&again));
    assert_eq!(imported(&again, &last).await.unwrap(), COUNTS);
    assert_eq!(entries(&archive), entries(&exported(&last).await));
    check_filled(&last).await;
    check_filled(there).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_move_from_sled_to_redis_and_back_changes_nothing() {
    let server = Server::start();
    round_trip(&redis(&server)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_move_from_sled_to_a_cluster_and_back_changes_nothing() {
    let cluster = Cluster::start();
    round_trip(&TokenStoreSettings::Redis(cluster.settings())).await;
}

/// Redis' entries are written by Lua scripts, which encode JSON on their own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_filled_in_redis_moves_to_sled_and_back() {
    let folder = tempfile::tempdir().unwrap();
    let [here, there] = [Server::start(), Server::start()];
    fill(&redis(&here)).await;
    let archive = exported(&redis(&here)).await;
    let on_disk = sled(&folder.path().join("tokens"));
    assert_eq!(imported(&archive, &on_disk).await.unwrap(), COUNTS);
    let again = exported(&on_disk).await;
    assert_eq!(entries(&archive), entries(&again));
    assert_eq!(imported(&again, &redis(&there)).await.unwrap(), COUNTS);
    check_filled(&redis(&there)).await;
}

/// Exports and imports refuse a Redis that a gateway uses, unless forced.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_in_use_is_neither_exported_nor_imported_into() {
    let folder = tempfile::tempdir().unwrap();
    let first = sled(&folder.path().join("first"));
    fill(&first).await;
    let archive = exported(&first).await;
    let server = Server::start();
    let node = server.node(LIMITS);
    node.tokens.ping().await.unwrap();
    let store = open_offline(&redis(&server), true).unwrap();
    until("the node writes its heartbeat", async || {
        store.live_nodes().await.unwrap() == 1
    })
    .await;
    let imported_anyway = imported(&archive, &redis(&server)).await;
    assert!(
        matches!(
            imported_anyway,
            Err(TransferError::NodesAlive { nodes: 1, .. })
        ),
        "{imported_anyway:?}"
    );
    assert_eq!(store.import_marker().await.unwrap(), None);
    assert!(store.is_empty().await.unwrap());
    let exported_anyway = export(Arc::clone(&store), &header("redis"), false, Vec::new()).await;
    assert!(
        matches!(exported_anyway, Err(TransferError::NodesAlive { .. })),
        "{exported_anyway:?}"
    );
    export(Arc::clone(&store), &header("redis"), true, Vec::new())
        .await
        .unwrap();
    node.tokens.close().await.unwrap();
    drop(node);
    assert_eq!(imported(&archive, &redis(&server)).await.unwrap(), COUNTS);
}
