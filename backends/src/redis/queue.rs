//! The callback queue: a durable outbox of events, claimed by one node at a time.
//!
//! The last byte of an event's id names its partition.
//!
//! - `state`: what a node knows about the queue; `pending_count` and `due_index` are parts of it.
//! - `claim`: claims due events.
//! - `inspection`: lists and replays events.

mod claim;
mod due_index;
mod inspection;
mod pending_count;
pub mod state;

use std::time::Duration;

use async_trait::async_trait;

use super::{Inner, RedisStore, all_of, json, keys, random_id};
use crate::callback_queue::{
    CallbackQueue, Enqueued, EventPage, EventState, QueueStats, StoredEvent,
};
use crate::error::Result;
use crate::event::{Attempt, ClaimedEvent, Event, EventId};

impl Inner {
    /// Reads the figures of all partitions, and updates the pending count.
    pub async fn count_events(&self) -> Result<QueueStats> {
        let before = self.queue.pending.snapshot();
        let each = keys::all_partitions().map(async |partition| {
            let call = self.scripts.count_events.on(partition);
            let mut items = call.run(&self.connection).await?.items()?;
            Ok(QueueStats {
                pending: items.number()?,
                dead: items.number()?,
                oldest_ms: items.number()?,
            })
        });
        let partitions = all_of(each.collect()).await?.into_iter();
        let stats = partitions.fold(QueueStats::default(), |sum, partition| QueueStats {
            pending: sum.pending + partition.pending,
            dead: sum.dead + partition.dead,
            oldest_ms: sum.oldest_ms.max(partition.oldest_ms),
        });
        self.queue.pending.update(stats.pending, before);
        Ok(stats)
    }

    /// Ends a claim with `ack`, `retry` at `at_ms`, or `bury`. `true` where the event was there.
    pub async fn finish_claim(
        &self,
        id: &EventId,
        outcome: &str,
        attempt: Option<Attempt>,
        at_ms: u64,
    ) -> Result<bool> {
        let attempt = match attempt {
            Some(attempt) => json("redis.finish_claim", &attempt)?,
            None => String::new(),
        };
        let call = self.scripts.finish_claim.on_event(id);
        let call = call.arg(outcome).arg(at_ms).arg(attempt);
        let call = call.arg(keys::hex(random_id()?));
        let was_there = call.run(&self.connection).await?.number()? == 1;
        if was_there && outcome == "retry" {
            let partition = keys::partition_of_event(id);
            self.queue.due_index.note_due(partition, at_ms);
        }
        Ok(was_there)
    }
}

#[async_trait]
impl CallbackQueue for RedisStore {
    async fn enqueue(&self, event: Event) -> Result<Enqueued> {
        if self.0.queue.is_full() {
            return Ok(Enqueued::Full);
        }
        let call = self.0.scripts.enqueue.on_event(&event.id);
        let call = call.arg(json("redis.enqueue", &event)?);
        call.run(&self.0.connection).await?;
        self.0.queue.note_queued(event.id, None);
        Ok(Enqueued::Queued)
    }

    async fn claim(&self, max: usize, lease: Duration) -> Result<Vec<ClaimedEvent>> {
        self.0.claim(max, lease).await
    }

    async fn wait_until_due(&self, at_most: Duration) {
        // A timeout is one of the two ways to return.
        let _ = tokio::time::timeout(at_most, self.0.queue.changed.notified()).await;
    }

    async fn ack(&self, id: &EventId) -> Result<()> {
        if self.0.finish_claim(id, "ack", None, 0).await? {
            self.0.queue.pending.add(-1);
        }
        Ok(())
    }

    async fn retry(&self, id: &EventId, attempt: Attempt, at_ms: u64) -> Result<()> {
        self.0
            .finish_claim(id, "retry", Some(attempt), at_ms)
            .await?;
        self.0.queue.changed.notify_one();
        Ok(())
    }

    async fn release_claim(&self, id: &EventId, at_ms: u64) -> Result<()> {
        self.0.finish_claim(id, "retry", None, at_ms).await?;
        Ok(())
    }

    async fn dead_letter(&self, id: &EventId, attempt: Attempt) -> Result<()> {
        if self.0.finish_claim(id, "bury", Some(attempt), 0).await? {
            self.0.queue.pending.add(-1);
        }
        Ok(())
    }

    async fn list_events(
        &self,
        state: EventState,
        limit: usize,
        cursor: Option<&str>,
    ) -> Result<Option<EventPage>> {
        self.0.list_events(state, limit, cursor).await
    }

    async fn get_event(&self, id: &EventId) -> Result<Option<StoredEvent>> {
        self.0.get_event(id).await
    }

    async fn replay(&self, id: &EventId) -> Result<bool> {
        self.0.replay(id).await
    }

    fn max_pending(&self) -> u64 {
        self.0.queue.limits.max_pending
    }

    fn pending(&self) -> u64 {
        self.0.queue.pending.count()
    }

    async fn stats(&self) -> Result<QueueStats> {
        self.0.count_events().await
    }
}
