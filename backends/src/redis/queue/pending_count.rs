//! How many events wait, for `max_pending`: what Redis said a moment ago and what this node has
//! done since. Other nodes may add to it meanwhile, so the limit is a soft one.

use std::sync::atomic::{AtomicI64, AtomicU32, AtomicU64, Ordering};

/// Answers in a row that may be passed over because this node has changed the number meanwhile.
const PASSED_OVER: u32 = 3;

#[derive(Default)]
pub struct Pending {
    count: AtomicU64,
    /// What this node has added, all told.
    added: AtomicI64,
    changes: AtomicU64,
    passed_over: AtomicU32,
}

/// The state before Redis is asked.
#[derive(Clone, Copy)]
pub struct Before {
    added: i64,
    changes: u64,
}

impl Pending {
    pub fn count(&self) -> u64 {
        self.count.load(Ordering::Acquire)
    }

    pub fn add(&self, by: i64) {
        self.changes.fetch_add(1, Ordering::AcqRel);
        self.added.fetch_add(by, Ordering::AcqRel);
        let add = |count: u64| Some(count.saturating_add_signed(by));
        // The closure always gives a number.
        let _ = self
            .count
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, add);
    }

    pub fn before(&self) -> Before {
        Before {
            added: self.added.load(Ordering::Acquire),
            changes: self.changes.load(Ordering::Acquire),
        }
    }

    /// Redis has said that `count` wait. Nobody knows whether it had then seen what this node has
    /// done since: the next answer will do, unless there is always something.
    pub fn learn(&self, count: u64, before: Before) {
        let now = self.before();
        if now.changes != before.changes
            && self.passed_over.fetch_add(1, Ordering::AcqRel) < PASSED_OVER
        {
            return;
        }
        self.passed_over.store(0, Ordering::Release);
        let count = count.saturating_add_signed(now.added - before.added);
        self.count.store(count, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_have_done_is_learned_though_this_node_is_busy() {
        let pending = Pending::default();
        pending.learn(7, pending.before());
        assert_eq!(pending.count(), 7);
        for _ in 0..PASSED_OVER {
            let before = pending.before();
            pending.add(1);
            pending.learn(100, before);
        }
        assert_eq!(pending.count(), 10);
        let before = pending.before();
        pending.add(1);
        pending.learn(100, before);
        assert_eq!(pending.count(), 101);
        pending.add(-200);
        assert_eq!(pending.count(), 0);
    }
}
