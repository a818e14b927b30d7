//! Where a claim has to look: in the partitions in which this node knows of something that is due,
//! and now and then, for what other nodes have queued, in all of them.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::redis::keys::{self, Partition};

/// What others have queued they deliver themselves, unless they have died or have too much of it. A
/// little below the third of the seconds after which somebody who waits for events looks again.
const EVERYWHERE_EVERY_MS: u64 = 2_900;
const NOTHING: u64 = u64::MAX;

/// When something may be due in each partition. By this machine's clock, which need not be Redis':
/// where they differ, the look everywhere makes up for it.
pub struct Outlook {
    at_ms: Box<[AtomicU64]>,
    everywhere_at_ms: AtomicU64,
}

impl Outlook {
    pub fn new() -> Self {
        Self {
            at_ms: keys::all_partitions()
                .map(|_| AtomicU64::new(NOTHING))
                .collect(),
            everywhere_at_ms: AtomicU64::new(0),
        }
    }

    /// Something in there is due at `at_ms`.
    pub fn note(&self, partition: Partition, at_ms: u64) {
        self.at_ms[usize::from(partition)].fetch_min(at_ms, Ordering::AcqRel);
    }

    /// At `at_ms`, if not sooner.
    pub fn look_everywhere(&self, at_ms: u64) {
        self.everywhere_at_ms.fetch_min(at_ms, Ordering::AcqRel);
    }

    /// Where to look now. Whoever looks says with [`note`](Self::note) what is left.
    pub fn partitions(&self, now_ms: u64) -> Vec<Partition> {
        let everywhere = self.everywhere_at_ms.load(Ordering::Acquire) <= now_ms;
        if everywhere {
            let next = now_ms.saturating_add(EVERYWHERE_EVERY_MS);
            self.everywhere_at_ms.store(next, Ordering::Release);
        }
        keys::all_partitions()
            .filter(|partition| {
                let at_ms = &self.at_ms[usize::from(*partition)];
                let due = everywhere || at_ms.load(Ordering::Acquire) <= now_ms;
                if due {
                    at_ms.store(NOTHING, Ordering::Release);
                }
                due
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everywhere_at_first_and_then_where_something_is_due() {
        let outlook = Outlook::new();
        assert_eq!(outlook.partitions(5).len(), 256);
        assert!(outlook.partitions(6).is_empty());
        outlook.note(7, 100);
        outlook.note(7, 50);
        outlook.note(7, 80);
        assert!(outlook.partitions(49).is_empty());
        assert_eq!(outlook.partitions(50), [7]);
        assert!(outlook.partitions(100).is_empty());
        assert_eq!(outlook.partitions(5 + EVERYWHERE_EVERY_MS).len(), 256);
        outlook.look_everywhere(5_000);
        outlook.look_everywhere(3_500);
        assert!(outlook.partitions(3_499).is_empty());
        assert_eq!(outlook.partitions(3_500).len(), 256);
    }
}
