//! What the embedded store needs of a database.

pub mod memory;
#[cfg(feature = "sled")]
pub mod sled;

use std::future::Future;

use crate::error::Result;

/// Writes that happen together or not at all. A later write to a key wins.
#[derive(Debug, Default)]
pub struct Batch(Vec<(Vec<u8>, Option<Vec<u8>>)>);

impl Batch {
    pub fn put(&mut self, key: Vec<u8>, value: Vec<u8>) {
        self.0.push((key, Some(value)));
    }

    pub fn remove(&mut self, key: Vec<u8>) {
        self.0.push((key, None));
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Keys below `prefix` that are written.
    pub fn puts<'a>(&'a self, prefix: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
        let puts = self.0.iter().filter(|(_, value)| value.is_some());
        let keys = puts.map(|(key, _)| key.as_slice());
        keys.filter(move |key| key.starts_with(prefix))
    }
}

/// Is called with a key and its value; `false` ends the scan.
pub type Visit<'a> = dyn FnMut(&[u8], &[u8]) -> Result<bool> + 'a;

/// An ordered map of bytes.
pub trait Kv: Send + Sync + 'static {
    type Value: AsRef<[u8]> + std::ops::Deref<Target = [u8]>;

    fn get(&self, key: &[u8]) -> Result<Option<Self::Value>>;

    /// Atomic, also across the death of the process; not yet durable.
    fn apply(&self, batch: Batch) -> Result<()>;

    /// Calls `visit` with each entry whose key begins with `prefix`, in order, from the first one
    /// after `after`, until it returns `false`. `visit` must not call the database.
    fn scan(&self, prefix: &[u8], after: Option<&[u8]>, visit: &mut Visit<'_>) -> Result<()>;

    /// Entries whose key begins with `prefix`.
    fn count(&self, prefix: &[u8]) -> Result<u64> {
        let mut count = 0;
        self.scan(prefix, None, &mut |_, _| {
            count += 1;
            Ok(true)
        })?;
        Ok(count)
    }

    /// `Unavailable` while the last write to the disk has failed and has not been made up for: what
    /// is applied then is seen, and becomes durable when there is room again. What is new should not
    /// begin; what undoes or ends something should go on.
    fn writable(&self) -> Result<()> {
        Ok(())
    }

    /// Returns when everything applied before the call survives the death of the process and of the
    /// machine.
    ///
    /// # Errors
    /// Whether it is durable is not known. What was applied stays, and becomes durable later.
    fn durable(&self) -> impl Future<Output = Result<()>> + Send;
}
