//! The embedded store as a whole, for exports and imports.

mod dump;
mod load;

use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::mpsc;

use super::kv::{Batch, Kv};
use super::{keys, values};
use crate::error::{BackendError, ErrorKind, Result};
use crate::transfer::{ImportMarker, OfflineStore, Page};

/// What makes a store not empty. Indexes and what hangs on tokens come with these.
const CONTENT: [&[u8]; 6] = [
    keys::TOKENS,
    keys::LEASES,
    keys::UPLOADS,
    keys::OPEN,
    keys::EVENTS,
    keys::DEAD,
];

/// Entries in one batch: sled keeps what a batch replaces in memory until it is written.
const WRITTEN_AT_ONCE: usize = 100;

/// A tree that no [`EmbeddedStore`](super::EmbeddedStore) is over.
pub struct OfflineEmbedded<K> {
    kv: Arc<K>,
    engine: &'static str,
}

impl<K: Kv> OfflineEmbedded<K> {
    pub fn new(kv: Arc<K>, engine: &'static str) -> Self {
        Self { kv, engine }
    }
}

/// The import that was begun and has not ended.
pub fn import_marker<K: Kv>(kv: &K) -> Result<Option<ImportMarker>> {
    let marker = kv.get(keys::IMPORT)?;
    marker.map(|bytes| values::decode(&bytes)).transpose()
}

/// Refuses to serve from a store that holds the first part of an import.
pub fn refuse_half_imported<K: Kv>(kv: &K) -> Result<()> {
    match import_marker(kv)? {
        None => Ok(()),
        Some(marker) => Err(BackendError::with_source(
            ErrorKind::Unavailable,
            "embedded.open",
            marker.refusal(),
        )),
    }
}

#[async_trait]
impl<K: Kv> OfflineStore for OfflineEmbedded<K> {
    fn engine(&self) -> &'static str {
        self.engine
    }

    /// Whoever has the tree is alone.
    async fn live_nodes(&self) -> Result<u64> {
        Ok(0)
    }

    async fn import_marker(&self) -> Result<Option<ImportMarker>> {
        import_marker(&*self.kv)
    }

    async fn is_empty(&self) -> Result<bool> {
        let mut empty = true;
        for prefix in CONTENT {
            self.kv.scan(prefix, None, &mut |_, _| {
                empty = false;
                Ok(false)
            })?;
        }
        Ok(empty)
    }

    async fn begin_import(&self, marker: &ImportMarker) -> Result<()> {
        let mut batch = Batch::default();
        batch.put(keys::IMPORT.to_vec(), values::encode(marker)?);
        self.kv.apply(batch)?;
        self.kv.durable().await
    }

    async fn end_import(&self) -> Result<()> {
        let mut batch = Batch::default();
        batch.remove(keys::IMPORT.to_vec());
        self.kv.apply(batch)?;
        self.kv.durable().await
    }

    async fn dump(&self, pages: mpsc::Sender<Page>) -> Result<()> {
        let kv = Arc::clone(&self.kv);
        tokio::task::spawn_blocking(move || dump::dump(&*kv, &pages))
            .await
            .map_err(|e| BackendError::with_source(ErrorKind::Upstream, "embedded.dump", e))?
    }

    async fn load(&self, page: Page) -> Result<()> {
        let mut entries = page.into_iter().peekable();
        while entries.peek().is_some() {
            let batch = load::batch(entries.by_ref().take(WRITTEN_AT_ONCE))?;
            self.kv.apply(batch)?;
            self.kv.durable().await?;
        }
        Ok(())
    }
}
