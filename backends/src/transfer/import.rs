//! An archive becomes a store.
//!
//! The store carries a marker from the first entry to the end of the comparison, and no gateway
//! serves from it meanwhile. An import that was killed is run again from the beginning: entries
//! replace themselves.

use std::io::BufRead;
use std::sync::Arc;

use super::archive::Reader;
use super::export::{Pages, refuse_live_nodes};
use super::{Counts, Header, ImportMarker, OfflineStore, Tally, TransferError};

/// Entries that are written together.
const LOADED_AT_ONCE: usize = 2_000;

/// An archive that was read to its end, and is whole.
#[derive(Debug)]
pub struct Archive {
    pub header: Header,
    /// What of it an import at `now` loads.
    pub tally: Tally,
    /// Tokens whose grace has ended since the export. They are not loaded.
    pub gone: u64,
    marker: ImportMarker,
    now: u64,
}

impl Archive {
    /// Reads all of an archive. `now`: Unix seconds.
    ///
    /// # Errors
    /// Where it is of another version, cut off, or was edited; the text names the line.
    pub fn check(from: impl BufRead, now: u64) -> Result<Self, TransferError> {
        let (header, mut reader) = Reader::new(from)?;
        let mut tally = Tally::default();
        let mut gone = 0;
        while let Some(entry) = reader.entry()? {
            match entry.is_gone(now) {
                true => gone += 1,
                false => tally.add(&entry)?,
            }
        }
        let marker = ImportMarker {
            export_id: header.export_id.clone(),
            sha256: reader.sha256().to_owned(),
        };
        Ok(Self {
            header,
            tally,
            gone,
            marker,
            now,
        })
    }
}

/// Loads `archive`, which is read again `from` its beginning, into `store`: an empty one, or one into
/// which the same import was begun. Reads the store back and compares.
///
/// # Errors
/// Once it has begun to write, an import that fails leaves the marker in the store.
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
            return Err(TransferError::HalfImported {
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
    // A gateway that saw no marker is seen here, or sees the marker.
    if let Err(refused) = refuse_live_nodes(&*store, force).await {
        if !continued {
            store.end_import().await?;
        }
        return Err(refused);
    }
    load(&*store, archive, from).await?;
    let found = read_back(&store, archive.now).await?;
    if found != archive.tally {
        return Err(TransferError::Differs {
            expected: Box::new(archive.tally.clone()),
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
    let mut page = Vec::with_capacity(LOADED_AT_ONCE);
    while let Some(entry) = reader.entry()? {
        if entry.is_gone(archive.now) {
            continue;
        }
        page.push(entry);
        if page.len() == LOADED_AT_ONCE {
            store.load(std::mem::take(&mut page)).await?;
        }
    }
    store.load(page).await?;
    Ok(())
}

async fn read_back(store: &Arc<dyn OfflineStore>, now: u64) -> Result<Tally, TransferError> {
    let mut tally = Tally::default();
    let mut pages = Pages::of(Arc::clone(store));
    while let Some(page) = pages.next().await? {
        for entry in page.iter().filter(|entry| !entry.is_gone(now)) {
            tally.add(entry)?;
        }
    }
    Ok(tally)
}
