//! Writes that everybody sees and the disk does not have yet.

use std::collections::BTreeMap;
use std::ops::Bound;

use sled::IVec;

use crate::embedded::kv::Batch;

/// A key and its new value; `None` removes it.
pub type Write = (IVec, Option<IVec>);

/// In two layers, so that new writes can come while earlier ones go.
#[derive(Debug, Default)]
pub struct Unwritten {
    new: BTreeMap<IVec, Option<IVec>>,
    /// On its way to the disk, which may have none of it or all, and the open database any part.
    leaving: BTreeMap<IVec, Option<IVec>>,
}

impl Unwritten {
    pub fn apply(&mut self, batch: Batch) {
        for (key, value) in batch.0 {
            self.new.insert(key.into(), value.map(IVec::from));
        }
    }

    /// The outer `None`: ask the database.
    pub fn get(&self, key: &[u8]) -> Option<Option<IVec>> {
        let layers = [&self.new, &self.leaving].into_iter();
        layers.filter_map(|layer| layer.get(key)).next().cloned()
    }

    /// What there is from `from` on below `prefix`, in order.
    pub fn below(&self, prefix: &[u8], from: Bound<&[u8]>) -> Vec<Write> {
        let within = |layer: &BTreeMap<IVec, Option<IVec>>| -> Vec<Write> {
            layer
                .range::<[u8], _>((from, Bound::Unbounded))
                .take_while(|(key, _)| key.starts_with(prefix))
                .map(|(key, value)| (key.clone(), value.clone()))
                .collect()
        };
        let leaving = within(&self.leaving);
        let new = within(&self.new);
        if leaving.is_empty() {
            return new;
        }
        let both: BTreeMap<_, _> = leaving.into_iter().chain(new).collect();
        both.into_iter().collect()
    }

    /// Takes everything on its way, and says what that is. Until it has [`left`](Self::left) it is
    /// found here; what could not leave the last time goes along: a key's last value is the same
    /// however often it is written.
    pub fn leave(&mut self) -> Vec<Write> {
        self.leaving.append(&mut self.new);
        let all = self.leaving.iter();
        all.map(|(key, value)| (key.clone(), value.clone()))
            .collect()
    }

    /// The disk has what was on its way.
    pub fn left(&mut self) {
        self.leaving.clear();
    }

    /// Keys that the disk does not have.
    pub fn keys(&self) -> usize {
        self.new.len() + self.leaving.len()
    }
}
