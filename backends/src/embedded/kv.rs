//! The key-value store that the embedded engine runs on: an ordered map with atomic batches.

pub mod memory;
#[cfg(feature = "sled")]
pub mod sled;

use std::future::Future;

use crate::error::Result;

/// Writes that are applied together or not at all. The last write to a key wins.
#[derive(Debug, Default)]
pub struct Batch(Vec<(Vec<u8>, Option<Vec<u8>>)>);

impl Batch {
    /// A batch that puts one entry.
    pub fn of_put(key: Vec<u8>, value: Vec<u8>) -> Self {
        Self(vec![(key, Some(value))])
    }

    /// A batch that removes one entry.
    pub fn of_removal(key: Vec<u8>) -> Self {
        Self(vec![(key, None)])
    }

    pub fn put(&mut self, key: Vec<u8>, value: Vec<u8>) {
        self.0.push((key, Some(value)));
    }

    pub fn remove(&mut self, key: Vec<u8>) {
        self.0.push((key, None));
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Keys that are put and begin with `prefix`.
    pub fn puts<'a>(&'a self, prefix: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
        let puts = self.0.iter().filter(|(_, value)| value.is_some());
        let keys = puts.map(|(key, _)| key.as_slice());
        keys.filter(move |key| key.starts_with(prefix))
    }
}

/// Callback of a scan, with a key and its value; `false` ends the scan.
pub type Visit<'a> = dyn FnMut(&[u8], &[u8]) -> Result<bool> + 'a;

/// An ordered map from bytes to bytes.
pub trait Kv: Send + Sync + 'static {
    type Value: AsRef<[u8]> + std::ops::Deref<Target = [u8]>;

    fn get(&self, key: &[u8]) -> Result<Option<Self::Value>>;

    /// Applies a batch atomically, also if the process dies. Not durable before [`durable`](Self::durable).
    fn apply(&self, batch: Batch) -> Result<()>;

    /// Calls `visit` with each entry whose key begins with `prefix`, in order, starting behind `after`,
    /// until `visit` returns `false`. `visit` must not call the database.
    fn scan(&self, prefix: &[u8], after: Option<&[u8]>, visit: &mut Visit<'_>) -> Result<()>;

    /// Counts the entries whose key begins with `prefix`.
    fn count(&self, prefix: &[u8]) -> Result<u64> {
        let mut count = 0;
        self.scan(prefix, None, &mut |_, _| {
            count += 1;
            Ok(true)
        })?;
        Ok(count)
    }

    /// `Unavailable` while writes to the disk fail. Batches applied meanwhile are visible, and become
    /// durable when the disk has room again: operations that start something must be refused,
    /// operations that undo or end something go on.
    fn writable(&self) -> Result<()> {
        Ok(())
    }

    /// Returns when all batches applied before the call survive a crash of the process and of the
    /// machine.
    ///
    /// # Errors
    /// It is unknown whether the batches are durable. They stay applied, and become durable later.
    fn durable(&self) -> impl Future<Output = Result<()>> + Send;
}
