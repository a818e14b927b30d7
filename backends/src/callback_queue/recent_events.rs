//! Events that this process queued recently. A claim takes half of its events from here, so that a
//! backlog of one dead receiver does not delay new events.

use std::collections::VecDeque;

use parking_lot::Mutex;

use crate::event::EventId;

/// Limit of recent events; older ones are found by their due time.
const MAX_RECENT_EVENTS: usize = 1024;

/// Ids of recent events, oldest first.
#[derive(Debug, Default)]
pub struct RecentEvents(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    ids: VecDeque<EventId>,
    /// Whether the next claim rounds its half up.
    round_up: bool,
}

impl RecentEvents {
    /// Adds an event that was queued unclaimed.
    pub fn note(&self, id: EventId) {
        let mut inner = self.0.lock();
        if inner.ids.len() == MAX_RECENT_EVENTS {
            inner.ids.pop_front();
        }
        inner.ids.push_back(id);
    }

    /// Takes up to half of a claim of `max`, so that neither recent nor older events starve. The caller
    /// checks that each still exists, is due and unclaimed.
    pub fn take(&self, max: usize) -> Vec<EventId> {
        let mut inner = self.0.lock();
        inner.round_up = !inner.round_up;
        let half = if inner.round_up {
            max.div_ceil(2)
        } else {
            max / 2
        };
        let taken = half.min(inner.ids.len());
        inner.ids.drain(..taken).collect()
    }

    /// Removes events that were claimed by their due time: they are not new when they are due again.
    pub fn forget(&self, is_claimed: impl Fn(&EventId) -> bool) {
        self.0.lock().ids.retain(|id| !is_claimed(id));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(n: usize) -> EventId {
        EventId::from_string(n.to_string())
    }

    #[test]
    fn a_claim_takes_up_to_half_oldest_first() {
        let recent = RecentEvents::default();
        (0..9).map(id).for_each(|id| recent.note(id));
        assert_eq!(recent.take(4), [id(0), id(1)]);
        // Every other claim of one event takes a recent one.
        let taken: Vec<usize> = (0..4).map(|_| recent.take(1).len()).collect();
        assert_eq!(taken.iter().sum::<usize>(), 2);
        assert_eq!(recent.take(100).len(), 5);
        assert!(recent.take(100).is_empty());
    }

    #[test]
    fn claimed_events_are_no_longer_recent() {
        let recent = RecentEvents::default();
        (0..4).map(id).for_each(|id| recent.note(id));
        recent.forget(|claimed| *claimed == id(0) || *claimed == id(2));
        assert_eq!(recent.take(100), [id(1), id(3)]);
    }

    #[test]
    fn the_number_of_recent_events_is_limited() {
        let recent = RecentEvents::default();
        (0..MAX_RECENT_EVENTS + 1)
            .map(id)
            .for_each(|id| recent.note(id));
        let taken = recent.take(2 * MAX_RECENT_EVENTS);
        assert_eq!((taken.len(), &taken[0]), (MAX_RECENT_EVENTS, &id(1)));
    }
}
