//! Imports that end before their last entry.

use std::sync::Arc;

use asset_gateway_backends::clock::{Clock, SystemClock};
use asset_gateway_backends::conformance::fixture::id;
use asset_gateway_backends::error::Result;
use asset_gateway_backends::open::{open_offline, open_stores, refuse_unfinished_import};
use asset_gateway_backends::settings::TokenStoreSettings;
use asset_gateway_backends::transfer::{
    Archive, ImportMarker, OfflineStore, Page, TransferError, export, import,
};
use asset_gateway_backends::{BackendError, ErrorKind};

use super::filled_store::{COUNTS, check_filled, fill};
use super::{LIMITS, entries, exported, header, imported, redis, sled};
use crate::redis::support::server::Server;

/// Writes half of the first page, and then fails.
struct InterruptedImport(Arc<dyn OfflineStore>);

#[async_trait::async_trait]
impl OfflineStore for InterruptedImport {
    fn engine(&self) -> &'static str {
        self.0.engine()
    }

    async fn live_nodes(&self) -> Result<u64> {
        self.0.live_nodes().await
    }

    async fn import_marker(&self) -> Result<Option<ImportMarker>> {
        self.0.import_marker().await
    }

    async fn is_empty(&self) -> Result<bool> {
        self.0.is_empty().await
    }

    async fn begin_import(&self, marker: &ImportMarker) -> Result<()> {
        self.0.begin_import(marker).await
    }

    async fn end_import(&self) -> Result<()> {
        self.0.end_import().await
    }

    async fn dump(&self, pages: tokio::sync::mpsc::Sender<Page>) -> Result<()> {
        self.0.dump(pages).await
    }

    async fn load(&self, mut page: Page) -> Result<()> {
        page.truncate(page.len() / 2);
        self.0.load(page).await?;
        let kind = ErrorKind::Unavailable;
        Err(BackendError::new(kind, "killed"))
    }
}

/// Interrupts an import: gateways and other imports refuse the store, and the same import completes it.
async fn interrupt_import(settings: &TokenStoreSettings) {
    let folder = tempfile::tempdir().unwrap();
    let first = sled(&folder.path().join("first"));
    fill(&first).await;
    let archive = exported(&first).await;
    let checked = Archive::check(archive.as_slice(), SystemClock.now_seconds()).unwrap();
    let interrupted = InterruptedImport(open_offline(settings, true).unwrap());
    let store: Arc<dyn OfflineStore> = Arc::new(interrupted);
    let ended = import(store, &checked, archive.as_slice(), false).await;
    assert!(matches!(ended, Err(TransferError::Store(_))), "{ended:?}");

    let refused = match refuse_unfinished_import(settings).await {
        Ok(()) => open_stores(settings, LIMITS, Arc::new(SystemClock)).map(drop),
        refused => refused,
    };
    let refused = refused.unwrap_err().to_string();
    assert!(
        refused.contains("has not ended") && refused.contains("store import"),
        "{refused}"
    );
    let store = open_offline(settings, true).unwrap();
    let exported_anyway =
        export(Arc::clone(&store), &header("unfinished"), false, Vec::new()).await;
    assert!(
        matches!(exported_anyway, Err(TransferError::UnfinishedImport { .. })),
        "{exported_anyway:?}"
    );
    drop(store);
    let other = exported(&first).await;
    let other = imported(&other, settings).await;
    assert!(
        matches!(other, Err(TransferError::UnfinishedImport { .. })),
        "{other:?}"
    );

    assert_eq!(imported(&archive, settings).await.unwrap(), COUNTS);
    assert_eq!(entries(&archive), entries(&exported(settings).await));
    // A completed import is not repeated: the store is not empty.
    let again = imported(&archive, settings).await;
    assert!(
        matches!(again, Err(TransferError::NotEmpty { .. })),
        "{again:?}"
    );
    check_filled(settings).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_interrupted_import_into_sled_is_refused_until_it_is_repeated() {
    let folder = tempfile::tempdir().unwrap();
    interrupt_import(&sled(folder.path())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_interrupted_import_into_redis_is_refused_until_it_is_repeated() {
    let server = Server::start();
    interrupt_import(&redis(&server)).await;
}

/// A node that could not reach Redis at its start sees the marker when Redis is back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_does_not_serve_from_an_unfinished_import() {
    let server = Server::start();
    let store = open_offline(&redis(&server), true).unwrap();
    let marker = ImportMarker {
        export_id: "begun".into(),
        sha256: String::new(),
    };
    store.begin_import(&marker).await.unwrap();
    let node = server.node(LIMITS);
    let error = node.tokens.get(id(1)).await.unwrap_err().to_string();
    assert!(error.contains("has not ended"), "{error}");
    assert!(node.tokens.ping().await.is_err());
    assert_eq!(
        store.live_nodes().await.unwrap(),
        0,
        "the refused node wrote no heartbeat"
    );
    store.end_import().await.unwrap();
    assert!(node.tokens.get(id(1)).await.unwrap().is_none());
    node.tokens.ping().await.unwrap();
}
