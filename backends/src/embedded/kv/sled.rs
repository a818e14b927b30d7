//! sled on disk, with group commit.
//!
//! A batch of sled's costs several writes to the disk, whatever is in it: two buffers of its log end
//! early. So batches are gathered in memory, where everybody sees them, and one thread writes all
//! that have come as one batch of sled's, and flushes once for all who wait.

#[cfg(test)]
mod tests;
mod unwritten;

use std::ops::Bound;
use std::path::Path;
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;

use parking_lot::RwLock;
use tokio::sync::oneshot;

use self::unwritten::Unwritten;

use super::{Batch, Kv, Visit};
use crate::error::{BackendError, ErrorKind, Result};

/// Of sled's own counting, which is by what pages take on disk.
const TRANSFER_CACHE_BYTES: u64 = 16 * 1024 * 1024;

/// One tree of a sled database, and the thread that writes to it.
///
/// A writer that has to be durable asks the thread and waits; one flush (an fsync) serves all who
/// asked before it began.
pub struct SledKv {
    shared: Arc<Shared>,
    /// `Some` until it is dropped.
    writer: Option<mpsc::Sender<oneshot::Sender<sled::Result<()>>>>,
    thread: Option<JoinHandle<()>>,
}

/// Waits for the thread, which has the database open: whoever drops the store may open the folder
/// again.
impl Drop for SledKv {
    fn drop(&mut self) {
        self.writer = None;
        if let Some(thread) = self.thread.take() {
            // It panicked: then it has let go of the database, too.
            let _ = thread.join();
        }
    }
}

struct Shared {
    tree: sled::Tree,
    unwritten: RwLock<Unwritten>,
}

impl SledKv {
    /// Opens or makes the database in the folder `path`.
    ///
    /// # Errors
    /// `Unavailable` where another process has it open.
    pub fn open(path: &Path) -> Result<Self> {
        Self::open_with(path, sled::Config::new())
    }

    /// As [`open`](Self::open), for whoever goes through all of it once: sled keeps what it has
    /// touched in memory, several times as large as on disk, up to its cache's capacity.
    pub fn open_for_transfer(path: &Path) -> Result<Self> {
        let config = sled::Config::new();
        Self::open_with(path, config.cache_capacity(TRANSFER_CACHE_BYTES))
    }

    fn open_with(path: &Path, config: sled::Config) -> Result<Self> {
        let db = config
            .path(path)
            // The flush thread does it, on demand.
            .flush_every_ms(None)
            .open()
            .map_err(|e| match &e {
                sled::Error::Io(io) if io.to_string().contains("could not acquire lock") => {
                    BackendError::with_source(
                        ErrorKind::Unavailable,
                        "sled.open",
                        format!("{} is in use by another process", path.display()),
                    )
                }
                sled::Error::Io(_)
                | sled::Error::CollectionNotFound(_)
                | sled::Error::Unsupported(_)
                | sled::Error::ReportableBug(_)
                | sled::Error::Corruption { .. } => failed("sled.open")(e),
            })?;
        let tree = db.open_tree("asset-gateway").map_err(failed("sled.open"))?;
        let shared = Arc::new(Shared {
            tree,
            unwritten: RwLock::default(),
        });
        let writing = Arc::clone(&shared);
        let (writer, requests) = mpsc::channel();
        let thread = std::thread::Builder::new()
            .name("sled-writer".into())
            .spawn(move || write_for(&writing, &db, &requests))
            .map_err(|e| BackendError::with_source(ErrorKind::Upstream, "sled.open", e))?;
        Ok(Self {
            shared,
            writer: Some(writer),
            thread: Some(thread),
        })
    }
}

/// Writes and flushes once for all who wait, until nobody can ask any more.
fn write_for(
    shared: &Shared,
    db: &sled::Db,
    requests: &mpsc::Receiver<oneshot::Sender<sled::Result<()>>>,
) {
    let mut waiting = Vec::new();
    while let Ok(first) = requests.recv() {
        waiting.push(first);
        waiting.extend(requests.try_iter());
        let flushed = shared.write().and_then(|()| db.flush().map(drop));
        for waiter in waiting.drain(..) {
            // Whoever stopped waiting does not need the answer.
            let _ = waiter.send(flushed.clone());
        }
    }
    // What nobody waited for; sled flushes when it is dropped.
    if let Err(error) = shared.write() {
        tracing::error!(%error, "the last writes are lost");
    }
}

impl Shared {
    /// Hands what is unwritten to the database: all of it or none, also across the process' death.
    /// Called by one thread.
    fn write(&self) -> sled::Result<()> {
        let mut writes = self.unwritten.write().leave();
        match (writes.pop(), writes.is_empty()) {
            (None, _) => return Ok(()),
            // One alone needs no batch.
            (Some((key, Some(value))), true) => drop(self.tree.insert(key, value)?),
            (Some((key, None)), true) => drop(self.tree.remove(key)?),
            (Some(last), false) => {
                let mut batch = sled::Batch::default();
                for (key, value) in writes.into_iter().chain([last]) {
                    match value {
                        Some(value) => batch.insert(key, value),
                        None => batch.remove(key),
                    }
                }
                self.tree.apply_batch(batch)?;
            }
        }
        self.unwritten.write().left();
        Ok(())
    }
}

fn failed(operation: &'static str) -> impl Fn(sled::Error) -> BackendError {
    move |e| {
        let kind = match e {
            sled::Error::Corruption { .. } | sled::Error::ReportableBug(_) => ErrorKind::Corrupt,
            sled::Error::Io(_)
            | sled::Error::CollectionNotFound(_)
            | sled::Error::Unsupported(_) => ErrorKind::Upstream,
        };
        BackendError::with_source(kind, operation, e)
    }
}

impl Kv for SledKv {
    type Value = sled::IVec;

    fn get(&self, key: &[u8]) -> Result<Option<sled::IVec>> {
        // In this order: what leaves between the two steps is in the database by then.
        let unwritten = self.shared.unwritten.read().get(key);
        match unwritten {
            Some(value) => Ok(value),
            None => self.shared.tree.get(key).map_err(failed("sled.get")),
        }
    }

    fn apply(&self, batch: Batch) -> Result<()> {
        self.shared.unwritten.write().apply(batch);
        Ok(())
    }

    fn scan(&self, prefix: &[u8], after: Option<&[u8]>, visit: &mut Visit<'_>) -> Result<()> {
        let from = after.map_or(Bound::Included(prefix), Bound::Excluded);
        // In this order, as in `get`.
        let unwritten = self.shared.unwritten.read().below(prefix, from);
        let mut unwritten = unwritten.into_iter().peekable();
        let written = self.shared.tree.range::<&[u8], _>((from, Bound::Unbounded));
        for entry in written {
            let (key, value) = entry.map_err(failed("sled.range"))?;
            if !key.starts_with(prefix) {
                break;
            }
            while let Some((key, value)) = unwritten.next_if(|(earlier, _)| *earlier < key) {
                if let Some(value) = value
                    && !visit(&key, &value)?
                {
                    return Ok(());
                }
            }
            let value = match unwritten.next_if(|(same, _)| *same == key) {
                Some((_, None)) => continue,
                Some((_, Some(newer))) => newer,
                None => value,
            };
            if !visit(&key, &value)? {
                return Ok(());
            }
        }
        for (key, value) in unwritten {
            if let Some(value) = value
                && !visit(&key, &value)?
            {
                break;
            }
        }
        Ok(())
    }

    async fn durable(&self) -> Result<()> {
        let gone = || BackendError::new(ErrorKind::Unavailable, "sled.flush");
        let (done, flushed) = oneshot::channel();
        let writer = self.writer.as_ref().ok_or_else(gone)?;
        writer.send(done).map_err(|_| gone())?;
        flushed
            .await
            .map_err(|_| gone())?
            .map_err(failed("sled.flush"))
    }
}
