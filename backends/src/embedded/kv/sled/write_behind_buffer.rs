//! Write-behind buffer: writes that reads see and the disk does not have yet.

use std::collections::BTreeMap;
use std::ops::Bound;

use sled::IVec;

use crate::embedded::kv::Batch;

/// A key and its new value; `None` removes it.
pub type Write = (IVec, Option<IVec>);

/// Two layers, so that new writes are accepted while earlier ones are written.
#[derive(Debug, Default)]
pub struct WriteBehindBuffer {
    new: BTreeMap<IVec, Option<IVec>>,
    /// Being written: the disk has none or all of it, the open database any part.
    in_flight: BTreeMap<IVec, Option<IVec>>,
}

impl WriteBehindBuffer {
    pub fn apply(&mut self, batch: Batch) {
        for (key, value) in batch.0 {
            self.new.insert(key.into(), value.map(IVec::from));
        }
    }

    /// The buffered value; the outer `None` if the key is not buffered.
    pub fn get(&self, key: &[u8]) -> Option<Option<IVec>> {
        let layers = [&self.new, &self.in_flight].into_iter();
        layers.filter_map(|layer| layer.get(key)).next().cloned()
    }

    /// The writes to keys from `from` on that begin with `prefix`, in order.
    pub fn range(&self, prefix: &[u8], from: Bound<&[u8]>) -> Vec<Write> {
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
    pub fn begin_write(&mut self) -> Vec<Write> {
        self.in_flight.append(&mut self.new);
        let all = self.in_flight.iter();
        all.map(|(key, value)| (key.clone(), value.clone()))
            .collect()
    }

    /// Drops the writes in flight, which are durable now.
    pub fn finish_write(&mut self) {
        self.in_flight.clear();
    }

    /// Counts the keys that are not durable.
    pub fn len(&self) -> usize {
        self.new.len() + self.in_flight.len()
    }
}
