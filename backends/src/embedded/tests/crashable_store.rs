//! A store that can be killed.

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

/// What outlives the process.
pub trait Disk {
    /// Opens the store; of what was opened before only what it has left on disk counts.
    fn open(&mut self, clock: &TestClock, limits: QueueLimits) -> Box<dyn Store>;
}

#[derive(Default)]
pub struct Memory {
    map: Arc<MemoryKv>,
    /// Nothing can be made durable.
    pub broken: Arc<AtomicBool>,
}

impl Disk for Memory {
    fn open(&mut self, clock: &TestClock, limits: QueueLimits) -> Box<dyn Store> {
        let kv = Shared {
            map: Arc::clone(&self.map),
            broken: Arc::clone(&self.broken),
        };
        Box::new(EmbeddedStore::new(kv, Arc::new(clock.clone()), limits).unwrap())
    }
}

/// A map that two lives of a store share.
struct Shared {
    map: Arc<MemoryKv>,
    broken: Arc<AtomicBool>,
}

impl Kv for Shared {
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

    /// Takes a moment, so that futures can be dropped in it.
    async fn durable(&self) -> Result<()> {
        tokio::task::yield_now().await;
        match self.broken.load(Ordering::SeqCst) {
            true => Err(BackendError::new(ErrorKind::Upstream, "told to")),
            false => Ok(()),
        }
    }
}

/// sled; each opening works on a copy of the files as the one before has them just then. That is
/// what a kill leaves: dropping a sled database would write down what it still has in memory.
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

/// A disk, the store on it, and its time.
pub struct World {
    disk: Box<dyn Disk>,
    pub store: Box<dyn Store>,
    pub clock: TestClock,
    limits: QueueLimits,
}

impl World {
    pub fn new(mut disk: impl Disk + 'static, limits: QueueLimits) -> Self {
        let clock = TestClock::at(1_780_000_000_250);
        Self {
            store: disk.open(&clock, limits),
            disk: Box::new(disk),
            clock,
            limits,
        }
    }

    /// The process dies and another one starts.
    pub fn crash(&mut self) {
        self.store = self.disk.open(&self.clock, self.limits);
    }

    pub fn advance(&self, by_ms: u64) {
        self.clock.advance(Duration::from_millis(by_ms));
    }
}
