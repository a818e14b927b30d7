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

/// State of a stored event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventState {
    /// Waits for delivery, claimed or not.
    Pending,
    /// Given up: a dead letter.
    Dead,
}

/// An event as the queue stores it.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredEvent {
    /// The event.
    pub event: Event,
    /// Attempts and replays ([`Attempt::is_replay`]), oldest first.
    pub attempts: Vec<Attempt>,
    /// Unix milliseconds at which the event was queued.
    pub queued_at_ms: u64,
    /// Unix milliseconds of the next attempt; `None` for a dead letter.
    pub due_ms: Option<u64>,
}

/// A page of events.
#[derive(Debug, Clone)]
pub struct EventPage {
    /// Events, oldest first.
    pub events: Vec<StoredEvent>,
    /// Where the next page begins; `None` on the last page. Opaque, printable ASCII.
    pub cursor: Option<String>,
}

/// Size of the queue, for metrics.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct QueueStats {
    /// Pending events, claimed ones included.
    pub pending: u64,
    /// Dead letters.
    pub dead: u64,
    /// Age in milliseconds of the oldest pending event; 0 if there is none.
    pub oldest_ms: u64,
}

/// The answer of [`CallbackQueue::replay_since`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Replayed {
    /// Number of replayed events.
    pub replayed: u64,
    /// Whether dead letters are left for which the queue has no room now.
    pub more: bool,
}

/// Dead letters that [`CallbackQueue::replay_since`] reads and replays together.
const REPLAY_PAGE_EVENTS: usize = 200;

/// The answer of [`CallbackQueue::enqueue`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Enqueued {
    /// The event is queued.
    Queued,
    /// [`max_pending`](CallbackQueue::max_pending) events wait; nothing was written.
    Full,
}

/// A durable outbox with at-least-once delivery.
///
/// # Life of an event
///
/// ```text
///   enqueue, or a write of the token store
///        │
///        ▼         claim             ack
///     pending ─────────────► claimed ─────► removed
///      ▲   ▲                  │   │
///      │   └──────────────────┘   │ dead_letter
///      │    retry, release_claim, ▼
///      │    lapsed claim         dead ────► removed, when too old or too many
///      └──────────────────────────┘         (TokenStore::sweep)
///                replay
/// ```
///
/// `ack`, `retry` and `dead_letter` act on pending events, too.
///
/// # Contract
///
/// - **Delivery** is at least once: an event whose claim lapses, or whose process dies, is claimed
///   again.
/// - **Missing events** are no error: `ack`, `retry`, `release_claim` and `dead_letter` do nothing.
/// - **Durability**: see the table. "Yes" means that the result survives a crash once the method
///   returns. A Redis queue is as durable as its server.
/// - **Dropping** a future leaves open whether the call was carried out. Calls can be repeated.
///
/// | method | durable when it returns | idempotent |
/// | --- | --- | --- |
/// | `enqueue` | yes | no: an event is enqueued once |
/// | `claim` | no: a crash may release the claim, and the event is due again | no: each call claims other events |
/// | `ack` | yes | yes |
/// | `retry` | yes | no: each call adds an attempt |
/// | `release_claim` | no: after a crash the event may be due earlier than `at_ms` | yes |
/// | `dead_letter` | yes | yes: the second call finds no pending event |
/// | `replay`, `replay_since` | yes | yes |
/// | `list_events`, `get_event`, `stats`, `pending` | read only | yes |
#[async_trait]
pub trait CallbackQueue: Send + Sync {
    /// Adds an event that is due at once.
    async fn enqueue(&self, event: Event) -> Result<Enqueued>;

    /// Claims up to `max` due events for `lease`, oldest due time first. Up to half of them are events
    /// that this node has queued recently, so that a backlog does not delay new events.
    async fn claim(&self, max: usize, lease: Duration) -> Result<Vec<ClaimedEvent>>;

    /// Waits until an event may have become due since the last call, or for `at_most`.
    async fn wait_until_due(&self, at_most: Duration);

    /// Removes a delivered event.
    async fn ack(&self, id: &EventId) -> Result<()>;

    /// Records a failed attempt; the event is due again at `at_ms`, Unix milliseconds.
    async fn retry(&self, id: &EventId, attempt: Attempt, at_ms: u64) -> Result<()>;

    /// Releases a claim without an attempt; the event is due again at `at_ms`, Unix milliseconds.
    async fn release_claim(&self, id: &EventId, at_ms: u64) -> Result<()>;

    /// Records the last failed attempt, and keeps the event as a dead letter.
    async fn dead_letter(&self, id: &EventId, attempt: Attempt) -> Result<()>;

    /// A page of up to `limit` events, oldest first. `None`: the cursor is not one of this queue.
    async fn list_events(
        &self,
        state: EventState,
        limit: usize,
        cursor: Option<&str>,
    ) -> Result<Option<EventPage>>;

    /// The event, pending or dead; `None` if it is unknown or was delivered.
    async fn get_event(&self, id: &EventId) -> Result<Option<StoredEvent>>;

    /// Makes a dead letter pending and due at once, at the start of its retry schedule. A pending event
    /// becomes due at once, unless it is claimed. `false` if the event does not exist.
    async fn replay(&self, id: &EventId) -> Result<bool>;

    /// Limit of pending events; a queue that has reached it refuses accesses with a callback.
    fn max_pending(&self) -> u64;

    /// Number of pending events as this process knows it; other nodes' changes arrive with a delay.
    fn pending(&self) -> u64;

    /// Replays the dead letters that were queued at `since_ms` (Unix milliseconds) or later, until the
    /// queue is half full, so that a replay does not cause refused accesses. Not atomic; another call
    /// continues.
    async fn replay_since(&self, since_ms: u64) -> Result<Replayed> {
        let mut replayed = 0;
        let mut cursor = None;
        loop {
            let page = self.list_events(EventState::Dead, REPLAY_PAGE_EVENTS, cursor.as_deref());
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

    /// Counts for metrics.
    async fn stats(&self) -> Result<QueueStats>;
}
