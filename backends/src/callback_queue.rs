//! The port to the callback queue: a durable outbox of events and its dead letters.
//!
//! Events enter with the token store's own writes (a hit or a commit and its event are one atomic
//! write), or by [`CallbackQueue::enqueue`] for accesses that count nothing. One adapter therefore
//! implements both ports.

mod recent_events;

use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::join_all;

use crate::error::Result;
use crate::event::{Attempt, ClaimedEvent, Event, EventId};

pub(crate) use recent_events::RecentEvents;

/// Which events are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventState {
    /// Waits for delivery, claimed or not.
    Pending,
    /// Given up.
    Dead,
}

/// An event as the queue keeps it.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredEvent {
    pub event: Event,
    /// Oldest first; a replay has an entry, too ([`Attempt::is_replay`]).
    pub attempts: Vec<Attempt>,
    /// Unix milliseconds at which it was queued.
    pub queued_at_ms: u64,
    /// Unix milliseconds of the next try; `None`: a dead letter.
    pub due_ms: Option<u64>,
}

#[derive(Debug, Clone)]
pub struct EventPage {
    pub events: Vec<StoredEvent>,
    /// Where the next page begins; `None` = this was the last. Opaque, printable ASCII.
    pub cursor: Option<String>,
}

/// The queue's state, for metrics.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct QueueStats {
    /// Events that wait for delivery, claimed ones included.
    pub pending: u64,
    /// Events that were given up.
    pub dead: u64,
    /// Age in milliseconds of the event that has waited longest; 0 where none waits.
    pub oldest_ms: u64,
}

/// The answer of [`CallbackQueue::replay_since`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Replayed {
    pub replayed: u64,
    /// There are more, for which there is no room now.
    pub more: bool,
}

/// Events that [`CallbackQueue::replay_since`] replays at once.
const REPLAYED_AT_ONCE: usize = 200;

/// The answer of [`CallbackQueue::enqueue`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Enqueued {
    Queued,
    /// `max_pending` events wait; nothing was written.
    Full,
}

/// - Delivery is at least once: a claim that is neither acked, retried nor buried before its lease
///   ends, or whose process dies, is handed out again.
/// - Every method is durable when it returns. Dropping a future may or may not have done the work.
/// - `ack`, `retry`, `bury` and `release_claim` of an event that is not there do nothing.
#[async_trait]
pub trait CallbackQueue: Send + Sync {
    /// Adds an event that is due at once.
    async fn enqueue(&self, event: Event) -> Result<Enqueued>;

    /// Takes up to `max` events that are due, oldest due time first. Up to half of them may be ones
    /// that this node has queued since: a backlog does not hold up what happens now.
    async fn claim(&self, max: usize, lease: Duration) -> Result<Vec<ClaimedEvent>>;

    /// Returns when an event may have become due since the last call, or after `at_most`.
    async fn wait_until_due(&self, at_most: Duration);

    /// Delivered: the event is removed.
    async fn ack(&self, id: &EventId) -> Result<()>;

    /// Not delivered: try again at `at_ms`, Unix milliseconds.
    async fn retry(&self, id: &EventId, attempt: Attempt, at_ms: u64) -> Result<()>;

    /// Not tried: the claim is given up, and the event is due again at `at_ms`, Unix milliseconds.
    /// Its attempts stay as they are.
    async fn release_claim(&self, id: &EventId, at_ms: u64) -> Result<()>;

    /// Not delivered and given up: kept as a dead letter.
    async fn dead_letter(&self, id: &EventId, attempt: Attempt) -> Result<()>;

    /// A page of up to `limit` events, oldest first. `None`: the cursor is not one of this queue's.
    async fn list_events(
        &self,
        state: EventState,
        limit: usize,
        cursor: Option<&str>,
    ) -> Result<Option<EventPage>>;

    /// The event, waiting or dead; `None` where it is neither: delivered, or never there.
    async fn get_event(&self, id: &EventId) -> Result<Option<StoredEvent>>;

    /// A dead letter waits again, due at once, its schedule from the beginning. One that waits anyway
    /// is due at once. `false` where it is not there.
    async fn replay(&self, id: &EventId) -> Result<bool>;

    /// How many events may wait: past it accesses with a callback are refused.
    fn max_pending(&self) -> u64;

    /// How many events wait, as this process knows it: it may lag behind what other nodes do.
    fn pending(&self) -> u64;

    /// Replays the dead letters that were queued at `since_ms` (Unix milliseconds) or later, until half
    /// of what may wait does: replaying must not make accesses be refused. Not atomic; calling it again
    /// goes on.
    async fn replay_since(&self, since_ms: u64) -> Result<Replayed> {
        let mut replayed = 0;
        let mut cursor = None;
        loop {
            let page = self.list_events(EventState::Dead, REPLAYED_AT_ONCE, cursor.as_deref());
            let Some(page) = page.await? else {
                return Ok(Replayed {
                    replayed,
                    more: false,
                });
            };
            let any = page.events.iter().any(|e| e.queued_at_ms >= since_ms);
            if any && self.stats().await?.pending >= self.max_pending() / 2 {
                return Ok(Replayed {
                    replayed,
                    more: true,
                });
            }
            let wanted = page.events.iter().filter(|e| e.queued_at_ms >= since_ms);
            let all = join_all(wanted.map(|kept| self.replay(&kept.event.id))).await;
            for was_there in all {
                replayed += u64::from(was_there?);
            }
            cursor = page.cursor;
            if cursor.is_none() {
                return Ok(Replayed {
                    replayed,
                    more: false,
                });
            }
        }
    }

    async fn stats(&self) -> Result<QueueStats>;
}
