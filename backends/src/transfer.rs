//! Moves a whole token store to another engine, through an archive of JSON lines.
//!
//! [`OfflineStore`] is the port to a store that no gateway serves from. [`export`] writes everything
//! that is in it to an archive; [`Archive::check`] reads an archive without writing anything, and
//! [`import`] loads it into an empty store and reads it back. The archive holds digests of tokens,
//! never a token. Memory use does not grow with the store.

mod archive;
mod entry;
mod error;
mod export;
mod import;
mod tally;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use crate::error::Result;

pub use archive::{FORMAT_VERSION, Header};
pub use entry::{Dead, Entry, Finalising, PartsUpload, Pending, Token, Window};
pub use error::TransferError;
pub use export::export;
pub use import::{Archive, import};
pub use tally::{Counts, Tally};

/// Entries that are handed over together.
pub type Page = Vec<Entry>;

/// Names an import. It stands in the store from its begin to its end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportMarker {
    /// [`Header::export_id`] of the archive.
    pub export_id: String,
    /// SHA-256 of the archive's lines, hex.
    pub sha256: String,
}

impl ImportMarker {
    /// What a gateway says that finds it.
    pub(crate) fn refusal(&self) -> String {
        format!(
            "an import into this store has not ended (export {}): run `asset-gateway store import` \
             again with the same archive, or empty the store",
            self.export_id
        )
    }
}

/// A store as a whole, while no gateway serves from it.
#[async_trait]
pub trait OfflineStore: Send + Sync {
    /// The engine's name in archives and messages.
    fn engine(&self) -> &'static str;

    /// Gateways that have shown within the last half minute that they use the store. An engine that
    /// lets one process in answers 0.
    async fn live_nodes(&self) -> Result<u64>;

    /// The import that was begun and has not ended. A gateway does not serve from such a store.
    async fn import_marker(&self) -> Result<Option<ImportMarker>>;

    /// Nothing is in it that [`dump`](Self::dump) would send.
    async fn is_empty(&self) -> Result<bool>;

    async fn begin_import(&self, marker: &ImportMarker) -> Result<()>;

    async fn end_import(&self) -> Result<()>;

    /// Sends every entry once, tokens first, in pages of bounded size. Tokens past their grace that
    /// nobody has swept yet are among them. Returns early where the receiver is dropped.
    async fn dump(&self, pages: mpsc::Sender<Page>) -> Result<()>;

    /// Writes entries, durably; an entry that is there already is replaced by itself.
    async fn load(&self, page: Page) -> Result<()>;
}
