//! The outbox of callback events. An event's id says in which partition it is.

mod claim;
pub mod due_index;
mod inspection;
pub mod pending_count;

use std::time::Duration;

use async_trait::async_trait;

use super::keys;
use super::{Inner, RedisStore, fresh_id, json, millis};
use crate::callback_queue::{
    CallbackQueue, Enqueued, EventPage, EventState, QueueStats, StoredEvent,
};
use crate::clock::{Clock, SystemClock};
use crate::error::Result;
use crate::event::{Attempt, ClaimedEvent, Event, EventId};

impl Inner {
    pub fn queue_is_full(&self) -> bool {
        self.pending.count() >= self.limits.max_pending
    }

    /// More than half of what may wait does.
    pub fn queue_fills_up(&self) -> bool {
        self.pending.count() > self.limits.max_pending / 2
    }

    /// A script of this node has queued an event; `claim`: it is somebody's for so long.
    pub fn queued(&self, event: EventId, claim: Option<Duration>) {
        self.pending.add(1);
        let partition = keys::partition_of_event(&event);
        match claim {
            None => {
                self.outlook.note(partition, 0);
                self.fresh.note(event);
                self.queue_changed.notify_one();
            }
            Some(claim) => {
                let due_ms = SystemClock.now_ms().saturating_add(millis(claim));
                self.outlook.note(partition, due_ms);
            }
        }
    }

    /// Asks Redis how many events wait.
    pub async fn count_pending(&self) -> Result<QueueStats> {
        let before = self.pending.before();
        let stats = self.stats().await?;
        self.pending.learn(stats.pending, before);
        Ok(stats)
    }

    async fn stats(&self) -> Result<QueueStats> {
        let each = keys::all_partitions().map(async |partition| {
            let call = self.scripts.count_events.on(partition);
            let mut items = call.run(&self.link).await?.items()?;
            Ok(QueueStats {
                pending: items.number()?,
                dead: items.number()?,
                oldest_ms: items.number()?,
            })
        });
        let all = self.on_each(each.collect()).await?;
        Ok(all
            .into_iter()
            .fold(QueueStats::default(), |sum, part| QueueStats {
                pending: sum.pending + part.pending,
                dead: sum.dead + part.dead,
                oldest_ms: sum.oldest_ms.max(part.oldest_ms),
            }))
    }

    /// `true` where the event was there.
    pub async fn conclude(
        &self,
        id: &EventId,
        deed: &str,
        attempt: Option<Attempt>,
        at_ms: u64,
    ) -> Result<bool> {
        let attempt = match attempt {
            Some(attempt) => json("redis.conclude", &attempt)?,
            None => String::new(),
        };
        let script = &self.scripts.finish_claim;
        let call = script
            .on(keys::partition_of_event(id))
            .arg(id.as_str())
            .arg(deed)
            .arg(at_ms)
            .arg(attempt)
            .arg(keys::hex(fresh_id()?));
        let was_there = call.run(&self.link).await?.number()? == 1;
        if was_there && deed == "retry" {
            self.outlook.note(keys::partition_of_event(id), at_ms);
        }
        Ok(was_there)
    }
}

#[async_trait]
impl CallbackQueue for RedisStore {
    async fn enqueue(&self, event: Event) -> Result<Enqueued> {
        let Inner { scripts, link, .. } = &*self.0;
        if self.0.queue_is_full() {
            return Ok(Enqueued::Full);
        }
        let call = scripts.enqueue.on(keys::partition_of_event(&event.id));
        let call = call.arg(event.id.as_str());
        call.arg(json("redis.enqueue", &event)?).run(link).await?;
        self.0.queued(event.id, None);
        Ok(Enqueued::Queued)
    }

    async fn claim(&self, max: usize, lease: Duration) -> Result<Vec<ClaimedEvent>> {
        self.0.claim(max, lease).await
    }

    async fn wait_until_due(&self, at_most: Duration) {
        // Running out of time is one of the two ways to return.
        let _ = tokio::time::timeout(at_most, self.0.queue_changed.notified()).await;
    }

    async fn ack(&self, id: &EventId) -> Result<()> {
        if self.0.conclude(id, "ack", None, 0).await? {
            self.0.pending.add(-1);
        }
        Ok(())
    }

    async fn retry(&self, id: &EventId, attempt: Attempt, at_ms: u64) -> Result<()> {
        self.0.conclude(id, "retry", Some(attempt), at_ms).await?;
        self.0.queue_changed.notify_one();
        Ok(())
    }

    async fn release_claim(&self, id: &EventId, at_ms: u64) -> Result<()> {
        self.0.conclude(id, "retry", None, at_ms).await?;
        Ok(())
    }

    async fn dead_letter(&self, id: &EventId, attempt: Attempt) -> Result<()> {
        if self.0.conclude(id, "bury", Some(attempt), 0).await? {
            self.0.pending.add(-1);
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
        self.0.limits.max_pending
    }

    fn pending(&self) -> u64 {
        self.0.pending.count()
    }

    async fn stats(&self) -> Result<QueueStats> {
        self.0.count_pending().await
    }
}
