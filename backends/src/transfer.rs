//! Moves a token store to another engine, through an archive of JSON lines.
//!
//! [`OfflineStore`] is the port to a store that no gateway uses. [`export`] writes all of its entries
//! to an archive. [`Archive::check`] verifies an archive without writing anything; [`import`] loads it
//! into an empty store, reads the store back and compares. An archive holds digests of tokens, never
//! tokens. Memory use does not grow with the store.

mod archive;
mod content_summary;
mod entry;
mod error;
mod export;
mod import;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use crate::error::Result;

pub use archive::{FORMAT_VERSION, Header};
pub use content_summary::{ContentSummary, Counts};
pub use entry::{Dead, Entry, Finalising, Pending, RecordedUpload, Token, Window};
pub use error::TransferError;
pub use export::export;
pub use import::{Archive, import};

/// Entries that are passed on together.
pub type Page = Vec<Entry>;

/// Marks a store as importing, from the first entry to the final comparison. Gateways refuse such a
/// store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportMarker {
    /// [`Header::export_id`] of the archive.
    pub export_id: String,
    /// SHA-256 of the archive's lines, hex.
    pub sha256: String,
}

impl ImportMarker {
    /// The error text of a gateway that finds the marker.
    pub(crate) fn refusal(&self) -> String {
        format!(
            "an import into this store has not ended (export {}): run `asset-gateway store import` \
             again with the same archive, or empty the store",
            self.export_id
        )
    }
}

/// A whole token store, while no gateway uses it.
#[async_trait]
pub trait OfflineStore: Send + Sync {
    /// The engine's name, for archives and messages.
    fn engine(&self) -> &'static str;

    /// Counts the gateways whose heartbeat is younger than half a minute; 0 for an engine that a single
    /// process opens.
    async fn live_nodes(&self) -> Result<u64>;

    /// The marker of an unfinished import.
    async fn import_marker(&self) -> Result<Option<ImportMarker>>;

    /// Whether [`dump`](Self::dump) would send nothing.
    async fn is_empty(&self) -> Result<bool>;

    /// Writes the marker. Durable when it returns; idempotent.
    async fn begin_import(&self, marker: &ImportMarker) -> Result<()>;

    /// Removes the marker. Durable when it returns; idempotent.
    async fn end_import(&self) -> Result<()>;

    /// Sends each entry once, tokens first, in pages of bounded size, including tokens past their grace
    /// period that no sweep has removed yet. Returns early if the receiver is dropped.
    async fn dump(&self, pages: mpsc::Sender<Page>) -> Result<()>;

    /// Writes entries. Durable when it returns; idempotent, because an entry replaces itself.
    async fn load(&self, page: Page) -> Result<()>;
}
