//! sled on disk, with group commit.
//!
//! Each sled batch costs several disk writes, whatever its size, because it ends two log buffers
//! early. Batches are therefore collected in a write-behind buffer, which reads see at once; one
//! thread writes the buffer as a single sled batch and flushes once for all waiters. The buffer keeps
//! its writes until that flush succeeds, so that a full disk loses nothing that readers have seen.

mod database;
#[cfg(test)]
mod tests;
mod writer;

use std::collections::BTreeMap;
use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;

use parking_lot::{MappedRwLockReadGuard, RwLock, RwLockReadGuard};
use sled::IVec;
use tokio::sync::oneshot;

use self::database::{Database, to_backend_error};
use self::writer::{Waiter, outage_error};

use super::{Batch, Kv, Visit};
use crate::error::{BackendError, ErrorKind, Result};

/// Capacity of sled's page cache, counted in bytes on disk.
const TRANSFER_CACHE_BYTES: u64 = 16 * 1024 * 1024;

/// One tree of a sled database, and the thread that writes to it.
///
/// [`durable`](Kv::durable) asks the thread and waits; one flush (an fsync) serves all waiters that
/// asked before it began.
pub struct SledKv {
    shared: Arc<Shared>,
    /// `Some` until it is dropped.
    writer: Option<mpsc::Sender<Waiter>>,
    threads: Option<[JoinHandle<()>; 2]>,
    stop_watching: Arc<AtomicBool>,
}

/// Waits for the threads, which hold the database open, so that the folder can be opened again.
impl Drop for SledKv {
    fn drop(&mut self) {
        self.writer = None;
        let Some([writer, watch]) = self.threads.take() else {
            return;
        };
        // A thread that panicked has released the database, too.
        let _ = writer.join();
        self.stop_watching.store(true, Ordering::Release);
        watch.thread().unpark();
        let _ = watch.join();
    }
}

struct Shared {
    folder: PathBuf,
    /// `None` while it is reopened after an outage.
    database: RwLock<Option<Database>>,
    buffer: RwLock<WriteBehindBuffer>,
    /// Whether writes to the disk fail.
    outage: AtomicBool,
}

impl SledKv {
    /// Opens or creates the database in the folder `path`.
    ///
    /// # Errors
    /// `Unavailable` if another process has it open, or the disk is full.
    pub fn open(path: &Path) -> Result<Self> {
        Self::open_with(path, sled::Config::new())
    }

    /// As [`open`](Self::open), with a small cache, for a single pass over the whole store: sled's cached
    /// pages take several times their size on disk.
    pub fn open_for_transfer(path: &Path) -> Result<Self> {
        let config = sled::Config::new();
        Self::open_with(path, config.cache_capacity(TRANSFER_CACHE_BYTES))
    }

    fn open_with(path: &Path, config: sled::Config) -> Result<Self> {
        // An absolute path survives a change of the working folder.
        let folder = std::path::absolute(path)
            .map_err(|e| BackendError::with_source(ErrorKind::Upstream, "sled.open", e))?;
        let database = Database::open(&folder, config).map_err(|error| error.at(path))?;
        let shared = Arc::new(Shared {
            folder,
            database: RwLock::new(Some(database)),
            buffer: RwLock::default(),
            outage: AtomicBool::new(false),
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
    /// The tree; an error while the database is reopened.
    fn tree(&self) -> Result<MappedRwLockReadGuard<'_, sled::Tree>> {
        RwLockReadGuard::try_map(self.database.read(), |database| {
            database.as_ref().map(|database| &database.tree)
        })
        .map_err(|_| outage_error())
    }
}

impl Kv for SledKv {
    type Value = IVec;

    fn get(&self, key: &[u8]) -> Result<Option<IVec>> {
        // Buffer first: a write that leaves the buffer in between is in the database by then.
        let buffered = self.shared.buffer.read().get(key);
        match buffered {
            Some(value) => Ok(value),
            None => self
                .shared
                .tree()?
                .get(key)
                .map_err(to_backend_error("sled.get")),
        }
    }

    fn apply(&self, batch: Batch) -> Result<()> {
        self.shared.buffer.write().apply(batch);
        Ok(())
    }

    fn scan(&self, prefix: &[u8], after: Option<&[u8]>, visit: &mut Visit<'_>) -> Result<()> {
        let from = after.map_or(Bound::Included(prefix), Bound::Excluded);
        // Buffer first, as in `get`.
        let buffered = self.shared.buffer.read().range(prefix, from);
        let mut buffered = buffered.into_iter().peekable();
        let tree = self.shared.tree()?;
        let written = tree.range::<&[u8], _>((from, Bound::Unbounded));
        for entry in written {
            let (key, value) = entry.map_err(to_backend_error("sled.range"))?;
            if !key.starts_with(prefix) {
                break;
            }
            while let Some((key, value)) = buffered.next_if(|(earlier, _)| *earlier < key) {
                if let Some(value) = value
                    && !visit(&key, &value)?
                {
                    return Ok(());
                }
            }
            let value = match buffered.next_if(|(same, _)| *same == key) {
                Some((_, None)) => continue,
                Some((_, Some(newer))) => newer,
                None => value,
            };
            if !visit(&key, &value)? {
                return Ok(());
            }
        }
        for (key, value) in buffered {
            if let Some(value) = value
                && !visit(&key, &value)?
            {
                break;
            }
        }
        Ok(())
    }

    fn writable(&self) -> Result<()> {
        match self.shared.outage.load(Ordering::Acquire) {
            true => Err(outage_error()),
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

/// A key and its new value; `None` removes it.
type Write = (IVec, Option<IVec>);

/// Writes that reads see and the disk does not have yet, in two layers, so that new writes are accepted
/// while earlier ones are written.
#[derive(Debug, Default)]
struct WriteBehindBuffer {
    new: BTreeMap<IVec, Option<IVec>>,
    /// Being written: the disk has none or all of it, the open database any part.
    in_flight: BTreeMap<IVec, Option<IVec>>,
}

impl WriteBehindBuffer {
    fn apply(&mut self, batch: Batch) {
        for (key, value) in batch.0 {
            self.new.insert(key.into(), value.map(IVec::from));
        }
    }

    /// The buffered value; the outer `None` if the key is not buffered.
    fn get(&self, key: &[u8]) -> Option<Option<IVec>> {
        let layers = [&self.new, &self.in_flight].into_iter();
        layers.filter_map(|layer| layer.get(key)).next().cloned()
    }

    /// The writes to keys from `from` on that begin with `prefix`, in order.
    fn range(&self, prefix: &[u8], from: Bound<&[u8]>) -> Vec<Write> {
        let within = |layer: &BTreeMap<IVec, Option<IVec>>| -> Vec<Write> {
            layer
                .range::<[u8], _>((from, Bound::Unbounded))
                .take_while(|(key, _)| key.starts_with(prefix))
                .map(|(key, value)| (key.clone(), value.clone()))
                .collect()
        };
        let in_flight = within(&self.in_flight);
        let new = within(&self.new);
        if in_flight.is_empty() {
            return new;
        }
        let both: BTreeMap<_, _> = in_flight.into_iter().chain(new).collect();
        both.into_iter().collect()
    }

    /// Starts to write everything, and returns it. It stays readable until
    /// [`finish_write`](Self::finish_write). Writes that failed before are included: writing a key's
    /// last value again is idempotent.
    fn begin_write(&mut self) -> Vec<Write> {
        self.in_flight.append(&mut self.new);
        let all = self.in_flight.iter();
        all.map(|(key, value)| (key.clone(), value.clone()))
            .collect()
    }

    /// Drops the writes in flight, which are durable now.
    fn finish_write(&mut self) {
        self.in_flight.clear();
    }

    /// Counts the keys that are not durable.
    fn len(&self) -> usize {
        self.new.len() + self.in_flight.len()
    }
}
