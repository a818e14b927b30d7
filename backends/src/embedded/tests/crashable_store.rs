//! A store whose process can be killed, on a disk that outlives it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::super::EmbeddedStore;
use super::super::kv::memory::MemoryKv;
use super::super::kv::{Batch, Kv, Visit};
use crate::callback_queue::CallbackQueue;
use crate::clock::TestClock;
use crate::error::{BackendError, ErrorKind, Result};
use crate::settings::QueueLimits;
use crate::token_store::TokenStore;

/// Both ports of one store.
pub trait Store: TokenStore + CallbackQueue {}
impl<T: TokenStore + CallbackQueue> Store for T {}

/// The part of a store that outlives its process.
pub trait Disk {
    /// Opens the store on what the disk holds.
    fn open(&mut self, clock: &TestClock, limits: QueueLimits) -> Box<dyn Store>;
}

#[derive(Default)]
pub struct Memory {
    map: Arc<MemoryKv>,
    /// Whether writes cannot be made durable.
    pub broken: Arc<AtomicBool>,
}

impl Disk for Memory {
    fn open(&mut self, clock: &TestClock, limits: QueueLimits) -> Box<dyn Store> {
        let kv = SharedMap {
            map: Arc::clone(&self.map),
            broken: Arc::clone(&self.broken),
        };
        Box::new(EmbeddedStore::new(kv, Arc::new(clock.clone()), limits).unwrap())
    }
}

/// A map that the stores of successive processes share.
struct SharedMap {
    map: Arc<MemoryKv>,
    broken: Arc<AtomicBool>,
}

impl Kv for SharedMap {
    type Value = Vec<u8>;

    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        self.map.get(key)
    }

    fn apply(&self, batch: Batch) -> Result<()> {
        self.map.apply(batch)
    }

    fn scan(&self, prefix: &[u8], after: Option<&[u8]>, visit: &mut Visit<'_>) -> Result<()> {
        self.map.scan(prefix, after, visit)
    }

    /// Yields once, so that a future can be dropped at this point.
    async fn durable(&self) -> Result<()> {
        tokio::task::yield_now().await;
        match self.broken.load(Ordering::SeqCst) {
            true => Err(BackendError::new(ErrorKind::Upstream, "broken by the test")),
            false => Ok(()),
        }
    }
}

/// sled. Each process opens a copy of its predecessor's files, which is what a kill leaves; dropping a
/// sled database would write its buffers.
#[cfg(feature = "sled")]
#[derive(Default)]
pub struct Files(Option<tempfile::TempDir>);

#[cfg(feature = "sled")]
impl Disk for Files {
    fn open(&mut self, clock: &TestClock, limits: QueueLimits) -> Box<dyn Store> {
        let folder = tempfile::tempdir().unwrap();
        if let Some(before) = &self.0 {
            copy(before.path(), folder.path());
        }
        let kv = super::super::kv::sled::SledKv::open(folder.path()).unwrap();
        self.0 = Some(folder);
        Box::new(EmbeddedStore::new(kv, Arc::new(clock.clone()), limits).unwrap())
    }
}

#[cfg(feature = "sled")]
fn copy(from: &std::path::Path, to: &std::path::Path) {
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            std::fs::create_dir_all(&to).unwrap();
            copy(&entry.path(), &to);
        } else {
            std::fs::copy(entry.path(), to).unwrap();
        }
    }
}

/// A disk, the store of the current process on it, and their clock. Dereferences to the store.
pub struct CrashableStore {
    disk: Box<dyn Disk>,
    store: Box<dyn Store>,
    pub clock: TestClock,
    limits: QueueLimits,
}

impl CrashableStore {
    pub fn new(mut disk: impl Disk + 'static, limits: QueueLimits) -> Self {
        let clock = TestClock::at(1_780_000_000_250);
        Self {
            store: disk.open(&clock, limits),
            disk: Box::new(disk),
            clock,
            limits,
        }
    }

    /// Kills the process and starts another one.
    pub fn crash(&mut self) {
        self.store = self.disk.open(&self.clock, self.limits);
    }

    pub fn advance(&self, by_ms: u64) {
        self.clock.advance(Duration::from_millis(by_ms));
    }
}

impl std::ops::Deref for CrashableStore {
    type Target = dyn Store;

    fn deref(&self) -> &Self::Target {
        &*self.store
    }
}
