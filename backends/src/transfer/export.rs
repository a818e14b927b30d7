//! Export: writes a store to an archive.

use std::io::Write;
use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::archive::Writer;
use super::{Counts, Header, OfflineStore, Page, TransferError};
use crate::error::Result as StoreResult;

/// Pages that are read ahead of the writer.
const READ_AHEAD_PAGES: usize = 2;

/// Writes all entries of `store` to `out`. Leaves out tokens past their grace period at the header's
/// time, and expired hit windows. With `force`, live gateways are ignored.
///
/// # Errors
/// If gateways use the store, also if one starts meanwhile; `out` then holds a truncated archive.
pub async fn export(
    store: Arc<dyn OfflineStore>,
    header: &Header,
    force: bool,
    out: impl Write,
) -> Result<Counts, TransferError> {
    refuse_live_nodes(&*store, force).await?;
    if let Some(marker) = store.import_marker().await? {
        return Err(TransferError::UnfinishedImport {
            engine: store.engine(),
            export_id: marker.export_id,
        });
    }
    let mut writer = Writer::new(out, header)?;
    let mut pages = Pages::of(Arc::clone(&store));
    while let Some(page) = pages.next().await? {
        for mut entry in page {
            if entry.is_gone(header.exported_at_ms / 1000) {
                continue;
            }
            entry.close_windows(header.exported_at_ms);
            writer.entry(&entry)?;
        }
    }
    refuse_live_nodes(&*store, force).await?;
    writer.finish()
}

/// Refuses a store that gateways use, unless `force`.
pub(super) async fn refuse_live_nodes(
    store: &dyn OfflineStore,
    force: bool,
) -> Result<(), TransferError> {
    match store.live_nodes().await? {
        nodes if nodes > 0 && !force => Err(TransferError::NodesAlive {
            nodes,
            engine: store.engine(),
        }),
        _ => Ok(()),
    }
}

/// The pages of a store, read ahead by a task.
pub(super) struct Pages {
    pages: mpsc::Receiver<Page>,
    dump: Option<JoinHandle<StoreResult<()>>>,
}

impl Pages {
    /// Starts to read `store`.
    pub fn of(store: Arc<dyn OfflineStore>) -> Self {
        let (send, pages) = mpsc::channel(READ_AHEAD_PAGES);
        let dump = Some(tokio::spawn(async move { store.dump(send).await }));
        Self { pages, dump }
    }

    /// The next page; `None` after the last.
    pub async fn next(&mut self) -> Result<Option<Page>, TransferError> {
        if let Some(page) = self.pages.recv().await {
            return Ok(Some(page));
        }
        match self.dump.take() {
            None => Ok(None),
            Some(dump) => {
                let ended = dump.await;
                ended.map_err(|error| TransferError::Stopped(error.to_string()))??;
                Ok(None)
            }
        }
    }
}
