//! How many events are pending, for `max_pending`: what Redis said last, and what this node has changed since.
//!
//! Other nodes may add events meanwhile, so that the limit is a soft one.

use std::sync::atomic::{AtomicI64, AtomicU32, AtomicU64, Ordering};

/// Counts in a row that may be skipped because this node has changed the number meanwhile.
const MAX_SKIPPED_COUNTS: u32 = 3;

#[derive(Default)]
pub struct PendingCount {
    count: AtomicU64,
    /// Sum of all changes by this node.
    added: AtomicI64,
    changes: AtomicU64,
    skipped_counts: AtomicU32,
}

/// The state before Redis is asked.
#[derive(Clone, Copy)]
pub struct Snapshot {
    added: i64,
    changes: u64,
}

impl PendingCount {
    pub fn count(&self) -> u64 {
        self.count.load(Ordering::Acquire)
    }

    pub fn add(&self, change: i64) {
        self.changes.fetch_add(1, Ordering::AcqRel);
        self.added.fetch_add(change, Ordering::AcqRel);
        let add = |count: u64| Some(count.saturating_add_signed(change));
        // The closure always returns a number.
        let _ = self
            .count
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, add);
    }

    pub fn snapshot(&self) -> Snapshot {
        Snapshot {
            added: self.added.load(Ordering::Acquire),
            changes: self.changes.load(Ordering::Acquire),
        }
    }

    /// Takes over Redis' `count`. Where this node has changed the number since `before`, Redis may have counted before or
    /// after that: a few such counts are skipped.
    pub fn update(&self, count: u64, before: Snapshot) {
        let now = self.snapshot();
        if now.changes != before.changes
            && self.skipped_counts.fetch_add(1, Ordering::AcqRel) < MAX_SKIPPED_COUNTS
        {
            return;
        }
        self.skipped_counts.store(0, Ordering::Release);
        let count = count.saturating_add_signed(now.added - before.added);
        self.count.store(count, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_busy_node_takes_over_changes_of_other_nodes() {
        let pending = PendingCount::default();
        pending.update(7, pending.snapshot());
        assert_eq!(pending.count(), 7);
        for _ in 0..MAX_SKIPPED_COUNTS {
            let before = pending.snapshot();
            pending.add(1);
            pending.update(100, before);
        }
        assert_eq!(pending.count(), 10);
        let before = pending.snapshot();
        pending.add(1);
        pending.update(100, before);
        assert_eq!(pending.count(), 101);
        pending.add(-200);
        assert_eq!(pending.count(), 0);
    }
}
