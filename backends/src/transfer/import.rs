//! Import: loads an archive into a store, and compares the store with the archive.
//!
//! The store carries a marker from the first entry to the end of the comparison, and gateways refuse
//! it meanwhile. An import that was killed is repeated from the beginning: entries replace themselves.

use std::io::BufRead;
use std::sync::Arc;

use super::archive::Reader;
use super::export::{Pages, refuse_live_nodes};
use super::{ContentSummary, Counts, Header, ImportMarker, OfflineStore, TransferError};

/// Entries that are loaded together.
const LOAD_PAGE_ENTRIES: usize = 2_000;

/// A verified archive.
#[derive(Debug)]
pub struct Archive {
    /// The first line.
    pub header: Header,
    /// Summary of the entries that an import loads.
    pub summary: ContentSummary,
    /// Number of tokens whose grace period has ended since the export; they are not loaded.
    pub gone: u64,
    marker: ImportMarker,
    now: u64,
}

impl Archive {
    /// Reads and verifies an archive. `now`: Unix seconds.
    ///
    /// # Errors
    /// If it has another format version, is truncated or was edited; the text names the line.
    pub fn check(from: impl BufRead, now: u64) -> Result<Self, TransferError> {
        let (header, mut reader) = Reader::new(from)?;
        let mut summary = ContentSummary::default();
        let mut gone = 0;
        while let Some(entry) = reader.entry()? {
            match entry.is_gone(now) {
                true => gone += 1,
                false => summary.add(&entry)?,
            }
        }
        let marker = ImportMarker {
            export_id: header.export_id.clone(),
            sha256: reader.sha256().to_owned(),
        };
        Ok(Self {
            header,
            summary,
            gone,
            marker,
            now,
        })
    }
}

/// Loads `archive`, read again `from` its beginning, into `store`, which is empty or holds an
/// unfinished import of the same archive. Reads the store back and compares.
///
/// # Errors
/// An import that fails after its first write leaves the marker in the store.
pub async fn import(
    store: Arc<dyn OfflineStore>,
    archive: &Archive,
    from: impl BufRead,
    force: bool,
) -> Result<Counts, TransferError> {
    refuse_live_nodes(&*store, force).await?;
    let continued = match store.import_marker().await? {
        Some(begun) if begun == archive.marker => true,
        Some(begun) => {
            return Err(TransferError::UnfinishedImport {
                engine: store.engine(),
                export_id: begun.export_id,
            });
        }
        None if store.is_empty().await? => false,
        None => {
            let engine = store.engine();
            return Err(TransferError::NotEmpty { engine });
        }
    };
    store.begin_import(&archive.marker).await?;
    // A gateway that started before the marker was written is seen by this second look.
    if let Err(refused) = refuse_live_nodes(&*store, force).await {
        if !continued {
            store.end_import().await?;
        }
        return Err(refused);
    }
    load(&*store, archive, from).await?;
    let found = read_back(&store, archive.now).await?;
    if found != archive.summary {
        return Err(TransferError::Differs {
            expected: Box::new(archive.summary.clone()),
            found: Box::new(found),
        });
    }
    refuse_live_nodes(&*store, force).await?;
    store.end_import().await?;
    Ok(found.counts)
}

async fn load(
    store: &dyn OfflineStore,
    archive: &Archive,
    from: impl BufRead,
) -> Result<(), TransferError> {
    let (_, mut reader) = Reader::new(from)?;
    let mut page = Vec::with_capacity(LOAD_PAGE_ENTRIES);
    while let Some(entry) = reader.entry()? {
        if entry.is_gone(archive.now) {
            continue;
        }
        page.push(entry);
        if page.len() == LOAD_PAGE_ENTRIES {
            store.load(std::mem::take(&mut page)).await?;
        }
    }
    store.load(page).await?;
    Ok(())
}

async fn read_back(
    store: &Arc<dyn OfflineStore>,
    now: u64,
) -> Result<ContentSummary, TransferError> {
    let mut summary = ContentSummary::default();
    let mut pages = Pages::of(Arc::clone(store));
    while let Some(page) = pages.next().await? {
        for entry in page.iter().filter(|entry| !entry.is_gone(now)) {
            summary.add(entry)?;
        }
    }
    Ok(summary)
}
