//! Which partitions may hold due callbacks.
//!
//! A claim polls these, and every 3 seconds all 256, for events that other nodes have queued.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::redis::keys::{self, Partition};

/// Other nodes deliver their own events, unless they are dead or overloaded. A little less than 3 s, so that each third
/// poll of a worker, which polls once a second, finds it due.
const POLL_ALL_INTERVAL_MS: u64 = 2_900;
const NEVER: u64 = u64::MAX;

/// The next due time of each partition, by this machine's clock. Where that differs from Redis' clock, the poll of all
/// partitions makes up for it.
pub struct DueIndex {
    due_at_ms: Box<[AtomicU64]>,
    poll_all_at_ms: AtomicU64,
}

impl DueIndex {
    pub fn new() -> Self {
        Self {
            due_at_ms: keys::all_partitions()
                .map(|_| AtomicU64::new(NEVER))
                .collect(),
            poll_all_at_ms: AtomicU64::new(0),
        }
    }

    /// An event in the partition is due at `at_ms`.
    pub fn note_due(&self, partition: Partition, at_ms: u64) {
        self.due_at_ms[usize::from(partition)].fetch_min(at_ms, Ordering::AcqRel);
    }

    /// All partitions are to be polled at `at_ms`, if not earlier.
    pub fn poll_all_at(&self, at_ms: u64) {
        self.poll_all_at_ms.fetch_min(at_ms, Ordering::AcqRel);
    }

    /// Takes the partitions to poll now. The caller notes with [`note_due`](Self::note_due) what is left in them.
    pub fn take_due(&self, now_ms: u64) -> Vec<Partition> {
        let poll_all = self.poll_all_at_ms.load(Ordering::Acquire) <= now_ms;
        if poll_all {
            let next = now_ms.saturating_add(POLL_ALL_INTERVAL_MS);
            self.poll_all_at_ms.store(next, Ordering::Release);
        }
        keys::all_partitions()
            .filter(|partition| {
                let due_at_ms = &self.due_at_ms[usize::from(*partition)];
                let is_due = poll_all || due_at_ms.load(Ordering::Acquire) <= now_ms;
                if is_due {
                    due_at_ms.store(NEVER, Ordering::Release);
                }
                is_due
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_partitions_are_polled_first_and_then_those_with_due_events() {
        let index = DueIndex::new();
        assert_eq!(index.take_due(5).len(), 256);
        assert!(index.take_due(6).is_empty());
        index.note_due(7, 100);
        index.note_due(7, 50);
        index.note_due(7, 80);
        assert!(index.take_due(49).is_empty());
        assert_eq!(index.take_due(50), [7]);
        assert!(index.take_due(100).is_empty());
        assert_eq!(index.take_due(5 + POLL_ALL_INTERVAL_MS).len(), 256);
        index.poll_all_at(5_000);
        index.poll_all_at(3_500);
        assert!(index.take_due(3_499).is_empty());
        assert_eq!(index.take_due(3_500).len(), 256);
    }
}
