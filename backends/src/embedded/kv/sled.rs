//! sled on disk, with group commit.

use std::ops::Bound;
use std::path::Path;
use std::sync::mpsc;
use std::thread::JoinHandle;

use tokio::sync::oneshot;

use super::{Batch, Kv, Visit};
use crate::error::{BackendError, ErrorKind, Result};

/// One tree of a sled database, and the thread that flushes it.
///
/// A writer that has to be durable asks the thread and waits; one flush (an fsync) serves all who
/// asked before it began.
pub struct SledKv {
    tree: sled::Tree,
    /// `Some` until it is dropped.
    flusher: Option<mpsc::Sender<oneshot::Sender<sled::Result<()>>>>,
    thread: Option<JoinHandle<()>>,
}

/// Waits for the flush thread, which has the database open: whoever drops the store may open the
/// folder again.
impl Drop for SledKv {
    fn drop(&mut self) {
        self.flusher = None;
        if let Some(thread) = self.thread.take() {
            // It panicked: then it has let go of the database, too.
            let _ = thread.join();
        }
    }
}

impl SledKv {
    /// Opens or makes the database in the folder `path`.
    ///
    /// # Errors
    /// `Unavailable` where another process has it open.
    pub fn open(path: &Path) -> Result<Self> {
        let db = sled::Config::new()
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
        let (flusher, requests) = mpsc::channel();
        let thread = std::thread::Builder::new()
            .name("sled-flush".into())
            .spawn(move || flush_for(&db, &requests))
            .map_err(|e| BackendError::with_source(ErrorKind::Upstream, "sled.open", e))?;
        Ok(Self {
            tree,
            flusher: Some(flusher),
            thread: Some(thread),
        })
    }
}

/// Flushes once for all who wait, until nobody can ask any more.
fn flush_for(db: &sled::Db, requests: &mpsc::Receiver<oneshot::Sender<sled::Result<()>>>) {
    let mut waiting = Vec::new();
    while let Ok(first) = requests.recv() {
        waiting.push(first);
        waiting.extend(requests.try_iter());
        let flushed = db.flush().map(drop);
        for waiter in waiting.drain(..) {
            // Whoever stopped waiting does not need the answer.
            let _ = waiter.send(flushed.clone());
        }
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
        self.tree.get(key).map_err(failed("sled.get"))
    }

    fn apply(&self, batch: Batch) -> Result<()> {
        let mut writes = sled::Batch::default();
        for (key, value) in batch.0 {
            match value {
                Some(value) => writes.insert(key, value),
                None => writes.remove(key),
            }
        }
        self.tree
            .apply_batch(writes)
            .map_err(failed("sled.apply_batch"))
    }

    fn scan(&self, prefix: &[u8], after: Option<&[u8]>, visit: &mut Visit<'_>) -> Result<()> {
        let from = after.map_or(Bound::Included(prefix), Bound::Excluded);
        for entry in self.tree.range::<&[u8], _>((from, Bound::Unbounded)) {
            let (key, value) = entry.map_err(failed("sled.range"))?;
            if !key.starts_with(prefix) || !visit(&key, &value)? {
                break;
            }
        }
        Ok(())
    }

    async fn durable(&self) -> Result<()> {
        let gone = || BackendError::new(ErrorKind::Unavailable, "sled.flush");
        let (done, flushed) = oneshot::channel();
        let flusher = self.flusher.as_ref().ok_or_else(gone)?;
        flusher.send(done).map_err(|_| gone())?;
        flushed
            .await
            .map_err(|_| gone())?
            .map_err(failed("sled.flush"))
    }
}
