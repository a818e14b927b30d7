//! What this process has queued just now. Adapters look here before they look for the oldest due
//! time, so that a new event does not stand behind a backlog of a dead receiver.

use std::collections::VecDeque;

use parking_lot::Mutex;

use crate::event::EventId;

/// More than this are not just now: they are found by their due time.
const KEPT: usize = 1024;

#[derive(Debug, Default)]
pub struct RecentEvents(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    ids: VecDeque<EventId>,
    /// Whose the odd one is.
    odd: bool,
}

impl RecentEvents {
    /// The event is queued, and nobody's.
    pub fn note(&self, id: EventId) {
        let mut inner = self.0.lock();
        if inner.ids.len() == KEPT {
            inner.ids.pop_front();
        }
        inner.ids.push_back(id);
    }

    /// Some for a claim of `max`: half of it, so that neither these nor the others starve. Whether
    /// they are there, due and nobody's has to be looked at.
    pub fn take(&self, max: usize) -> Vec<EventId> {
        let mut inner = self.0.lock();
        inner.odd = !inner.odd;
        let half = if inner.odd { max.div_ceil(2) } else { max / 2 };
        let taken = half.min(inner.ids.len());
        inner.ids.drain(..taken).collect()
    }

    /// These have been found by their due time: when they are due again they are not new.
    pub fn forget(&self, is_found: impl Fn(&EventId) -> bool) {
        self.0.lock().ids.retain(|id| !is_found(id));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(n: usize) -> EventId {
        EventId::from_string(n.to_string())
    }

    #[test]
    fn half_of_a_claim_and_the_first_ones_first() {
        let fresh = RecentEvents::default();
        (0..9).map(id).for_each(|id| fresh.note(id));
        assert_eq!(fresh.take(4), [id(0), id(1)]);
        // One at a time: every other one.
        let taken: Vec<usize> = (0..4).map(|_| fresh.take(1).len()).collect();
        assert_eq!(taken.iter().sum::<usize>(), 2);
        assert_eq!(fresh.take(100).len(), 5);
        assert!(fresh.take(100).is_empty());
    }

    #[test]
    fn what_is_found_otherwise_is_not_new() {
        let fresh = RecentEvents::default();
        (0..4).map(id).for_each(|id| fresh.note(id));
        fresh.forget(|found| *found == id(0) || *found == id(2));
        assert_eq!(fresh.take(100), [id(1), id(3)]);
    }

    #[test]
    fn what_is_old_is_forgotten() {
        let fresh = RecentEvents::default();
        (0..KEPT + 1).map(id).for_each(|id| fresh.note(id));
        let taken = fresh.take(2 * KEPT);
        assert_eq!((taken.len(), &taken[0]), (KEPT, &id(1)));
    }
}
