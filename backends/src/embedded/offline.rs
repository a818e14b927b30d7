//! The embedded store as an [`OfflineStore`], for exports and imports.

mod export;
mod import;

use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::mpsc;

use super::kv::{Batch, Kv};
use super::{keys, values};
use crate::error::{BackendError, ErrorKind, Result};
use crate::transfer::{ImportMarker, OfflineStore, Page};

/// Kinds of entries that make a store not empty; all others come with one of these.
const CONTENT_PREFIXES: [&[u8]; 6] = [
    keys::TOKENS,
    keys::LEASES,
    keys::UPLOADS,
    keys::OPEN,
    keys::EVENTS,
    keys::DEAD,
];

/// Entries of one batch: sled keeps the entries that a batch replaces in memory until it is written.
const IMPORT_BATCH: usize = 100;

/// A tree that no [`EmbeddedStore`](super::EmbeddedStore) uses.
pub struct OfflineEmbedded<K> {
    kv: Arc<K>,
    engine: &'static str,
}

impl<K: Kv> OfflineEmbedded<K> {
    pub fn new(kv: Arc<K>, engine: &'static str) -> Self {
        Self { kv, engine }
    }
}

/// The marker of an unfinished import.
pub fn import_marker<K: Kv>(kv: &K) -> Result<Option<ImportMarker>> {
    values::read(kv, keys::IMPORT)
}

/// Refuses a store that holds an unfinished import.
pub fn refuse_unfinished_import<K: Kv>(kv: &K) -> Result<()> {
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

    /// None: the process that has opened the tree is the only one.
    async fn live_nodes(&self) -> Result<u64> {
        Ok(0)
    }

    async fn import_marker(&self) -> Result<Option<ImportMarker>> {
        import_marker(&*self.kv)
    }

    async fn is_empty(&self) -> Result<bool> {
        let mut empty = true;
        for prefix in CONTENT_PREFIXES {
            self.kv.scan(prefix, None, &mut |_, _| {
                empty = false;
                Ok(false)
            })?;
        }
        Ok(empty)
    }

    async fn begin_import(&self, marker: &ImportMarker) -> Result<()> {
        let batch = Batch::of_put(keys::IMPORT.to_vec(), values::encode(marker)?);
        self.kv.apply(batch)?;
        self.kv.durable().await
    }

    async fn end_import(&self) -> Result<()> {
        self.kv.apply(Batch::of_removal(keys::IMPORT.to_vec()))?;
        self.kv.durable().await
    }

    async fn dump(&self, pages: mpsc::Sender<Page>) -> Result<()> {
        let kv = Arc::clone(&self.kv);
        tokio::task::spawn_blocking(move || export::dump(&*kv, &pages))
            .await
            .map_err(|e| BackendError::with_source(ErrorKind::Upstream, "embedded.dump", e))?
    }

    async fn load(&self, page: Page) -> Result<()> {
        let mut entries = page.into_iter().peekable();
        while entries.peek().is_some() {
            let batch = import::batch(entries.by_ref().take(IMPORT_BATCH))?;
            self.kv.apply(batch)?;
            self.kv.durable().await?;
        }
        Ok(())
    }
}
