//! sled on disk, with group commit.
//!
//! A batch of sled's costs several writes to the disk, whatever is in it: two buffers of its log end
//! early. So batches are gathered in memory, where everybody sees them, and one thread writes all
//! that have come as one batch of sled's, and flushes once for all who wait. They stay in memory
//! until that flush has succeeded: what memory shows is what the disk gets, also where the disk is
//! full for a while.

mod folder;
#[cfg(test)]
mod tests;
mod unwritten;
mod writer;

use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;

use parking_lot::{MappedRwLockReadGuard, RwLock, RwLockReadGuard};
use tokio::sync::oneshot;

use self::folder::{Open, failed};
use self::unwritten::Unwritten;
use self::writer::{Waiter, outage};

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
    writer: Option<mpsc::Sender<Waiter>>,
    threads: Option<[JoinHandle<()>; 2]>,
    stop_watching: Arc<AtomicBool>,
}

/// Waits for the threads, which have the database open: whoever drops the store may open the folder
/// again.
impl Drop for SledKv {
    fn drop(&mut self) {
        self.writer = None;
        let Some([writer, watch]) = self.threads.take() else {
            return;
        };
        // One that panicked has let go of the database, too.
        let _ = writer.join();
        self.stop_watching.store(true, Ordering::Release);
        watch.thread().unpark();
        let _ = watch.join();
    }
}

struct Shared {
    folder: PathBuf,
    /// `None` while it is opened again.
    open: RwLock<Option<Open>>,
    unwritten: RwLock<Unwritten>,
    /// The last write has failed, and has not been made up for.
    is_out: AtomicBool,
}

impl SledKv {
    /// Opens or makes the database in the folder `path`.
    ///
    /// # Errors
    /// `Unavailable` where another process has it open, or the disk is full.
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
        // A process that changes its working folder keeps its store.
        let folder = std::path::absolute(path)
            .map_err(|e| BackendError::with_source(ErrorKind::Upstream, "sled.open", e))?;
        let open = Open::at(&folder, config).map_err(|error| error.of(path))?;
        let shared = Arc::new(Shared {
            folder,
            open: RwLock::new(Some(open)),
            unwritten: RwLock::default(),
            is_out: AtomicBool::new(false),
        });
        let (writer, requests) = mpsc::channel();
        let stop_watching = Arc::<AtomicBool>::default();
        let stop = Arc::clone(&stop_watching);
        let watch = writer::spawn("sled-watch", &shared, move |shared| {
            writer::watch(shared, &stop);
        })?;
        let writes = writer::spawn("sled-writer", &shared, move |shared| {
            writer::run(shared, &requests);
        })?;
        Ok(Self {
            shared,
            writer: Some(writer),
            threads: Some([writes, watch]),
            stop_watching,
        })
    }
}

impl Shared {
    /// Where it is not open, what is written is not known.
    fn tree(&self) -> Result<MappedRwLockReadGuard<'_, sled::Tree>> {
        RwLockReadGuard::try_map(self.open.read(), |open| {
            open.as_ref().map(|open| &open.tree)
        })
        .map_err(|_| outage())
    }
}

impl Kv for SledKv {
    type Value = sled::IVec;

    fn get(&self, key: &[u8]) -> Result<Option<sled::IVec>> {
        // In this order: what leaves between the two steps is in the database by then.
        let unwritten = self.shared.unwritten.read().get(key);
        match unwritten {
            Some(value) => Ok(value),
            None => self.shared.tree()?.get(key).map_err(failed("sled.get")),
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
        let tree = self.shared.tree()?;
        let written = tree.range::<&[u8], _>((from, Bound::Unbounded));
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

    fn writable(&self) -> Result<()> {
        match self.shared.is_out.load(Ordering::Acquire) {
            true => Err(outage()),
            false => Ok(()),
        }
    }

    async fn durable(&self) -> Result<()> {
        self.writable()?;
        let gone = || BackendError::new(ErrorKind::Unavailable, "sled.flush");
        let (done, flushed) = oneshot::channel();
        let writer = self.writer.as_ref().ok_or_else(gone)?;
        writer.send(done).map_err(|_| gone())?;
        flushed.await.map_err(|_| gone())?
    }
}
