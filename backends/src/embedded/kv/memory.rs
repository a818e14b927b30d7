//! A map in memory, for tests and benchmarks. Its contents end with the process.

use std::collections::BTreeMap;
use std::ops::Bound;

use parking_lot::RwLock;

use super::{Batch, Kv, Visit};
use crate::error::Result;

#[derive(Debug, Default)]
pub struct MemoryKv(RwLock<BTreeMap<Vec<u8>, Vec<u8>>>);

impl Kv for MemoryKv {
    type Value = Vec<u8>;

    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        Ok(self.0.read().get(key).cloned())
    }

    fn apply(&self, batch: Batch) -> Result<()> {
        let mut map = self.0.write();
        for (key, value) in batch.0 {
            match value {
                Some(value) => map.insert(key, value),
                None => map.remove(&key),
            };
        }
        Ok(())
    }

    fn scan(&self, prefix: &[u8], after: Option<&[u8]>, visit: &mut Visit<'_>) -> Result<()> {
        let map = self.0.read();
        let from = after.map_or(Bound::Included(prefix), Bound::Excluded);
        for (key, value) in map.range::<[u8], _>((from, Bound::Unbounded)) {
            if !key.starts_with(prefix) || !visit(key, value)? {
                break;
            }
        }
        Ok(())
    }

    async fn durable(&self) -> Result<()> {
        Ok(())
    }
}
