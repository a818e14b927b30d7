//! The outbox of callback events.

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_trait::async_trait;

use super::kv::{Batch, Kv};
use super::values::EventValue;
use super::{EmbeddedStore, Inner, keys, millis, values};
use crate::callback_queue::{
    CallbackQueue, Enqueued, EventPage, EventState, QueueStats, StoredEvent,
};
use crate::error::Result;
use crate::event::{Attempt, ClaimedEvent, Event, EventId, history_after_replay};

/// What an event becomes that was claimed.
enum Becomes {
    Due,
    Nothing,
    Dead,
}

impl<K: Kv> Inner<K> {
    /// Adds an event that is due at once to `batch`; [`apply_events`](Self::apply_events) applies.
    pub fn queue_event(&self, event: Event, now_ms: u64, batch: &mut Batch) -> Result<()> {
        batch.put(keys::due(now_ms, &event.id), Vec::new());
        let key = keys::event(&event.id);
        let value = EventValue {
            event,
            attempts: Vec::new(),
            queued_at_ms: now_ms,
            due_ms: now_ms,
        };
        batch.put(key, values::encode(&value)?);
        Ok(())
    }

    /// Applies a batch that may have events in it, and wakes who waits for them.
    pub fn apply_events(&self, batch: Batch) -> Result<()> {
        if batch.is_empty() {
            return Ok(());
        }
        let events: Vec<EventId> = batch
            .puts(keys::EVENTS)
            .filter_map(keys::parse_event)
            .collect();
        let queued = events.len() as u64;
        // Before anybody can claim and end them: the number never falls below none.
        self.pending.fetch_add(queued, Ordering::Relaxed);
        self.kv.apply(batch).inspect_err(|_| {
            self.pending.fetch_sub(queued, Ordering::Relaxed);
        })?;
        if queued > 0 {
            events.into_iter().for_each(|event| self.fresh.note(event));
            self.queue_changed.notify_one();
        }
        Ok(())
    }

    fn claim(&self, max: usize, lease: Duration) -> Result<Vec<ClaimedEvent>> {
        let mut claims = self.claims.lock();
        let fresh = self.fresh.take(max);
        // Not before: what has been queued since would not be due yet, and be new no more.
        let now_ms = self.clock.now_ms();
        claims.retain(|_, until| *until > now_ms);
        let mut claimed = Vec::with_capacity(max);
        let mut take = |id: EventId, claims: &mut HashMap<EventId, u64>| -> Result<usize> {
            let Some(bytes) = self.kv.get(&keys::event(&id))? else {
                return Ok(0);
            };
            let value: EventValue = match values::decode(&bytes) {
                Ok(value) => value,
                Err(error) => {
                    // It must not keep the others from being delivered.
                    tracing::error!(%error, event_id = id.as_str(), "a callback cannot be read");
                    claims.insert(id, u64::MAX);
                    return Ok(0);
                }
            };
            if claims.contains_key(&id) || value.due_ms > now_ms {
                return Ok(0);
            }
            claims.insert(id, now_ms.saturating_add(millis(lease)));
            claimed.push(value);
            Ok(1)
        };
        let mut room = max;
        for id in fresh {
            room -= take(id, &mut claims)?;
        }
        let mut due = Vec::new();
        self.kv.scan(keys::DUE, None, &mut |key, _| {
            if keys::parse_number(key).is_none_or(|due_ms| due_ms > now_ms) {
                return Ok(false);
            }
            if let Some(id) = keys::parse_due_event(key)
                && !claims.contains_key(&id)
            {
                due.push(id);
            }
            Ok(due.len() < room)
        })?;
        due.truncate(room);
        for id in due {
            take(id, &mut claims)?;
        }
        self.fresh.forget(|id| claims.contains_key(id));
        claimed.sort_by(|a, b| (a.due_ms, &a.event.id).cmp(&(b.due_ms, &b.event.id)));
        let claimed = claimed.into_iter().map(|value| ClaimedEvent {
            event: value.event,
            attempts: value.attempts,
            queued_at_ms: value.queued_at_ms,
        });
        Ok(claimed.collect())
    }

    /// Takes an event out of the due ones and hands it to `then`, which says what becomes of it.
    /// Nothing where it is not there.
    fn conclude(
        &self,
        id: &EventId,
        then: impl FnOnce(EventValue, &mut Batch) -> Result<Becomes>,
    ) -> Result<()> {
        let mut claims = self.claims.lock();
        let Some(bytes) = self.kv.get(&keys::event(id))? else {
            return Ok(());
        };
        let value: EventValue = values::decode(&bytes)?;
        let mut batch = Batch::default();
        batch.remove(keys::due(value.due_ms, id));
        let becomes = then(value, &mut batch)?;
        self.kv.apply(batch)?;
        claims.remove(id);
        match becomes {
            Becomes::Due => {}
            Becomes::Nothing => {
                self.pending.fetch_sub(1, Ordering::Relaxed);
            }
            Becomes::Dead => {
                self.pending.fetch_sub(1, Ordering::Relaxed);
                self.dead.fetch_add(1, Ordering::Relaxed);
            }
        }
        Ok(())
    }

    fn reschedule(&self, id: &EventId, attempt: Option<Attempt>, at_ms: u64) -> Result<()> {
        self.conclude(id, |mut value, batch| {
            value.attempts.extend(attempt);
            value.due_ms = at_ms;
            batch.put(keys::due(at_ms, id), Vec::new());
            batch.put(keys::event(id), values::encode(&value)?);
            Ok(Becomes::Due)
        })?;
        if at_ms <= self.clock.now_ms() {
            self.queue_changed.notify_one();
        }
        Ok(())
    }

    fn list_events(
        &self,
        state: EventState,
        limit: usize,
        cursor: Option<&str>,
    ) -> Result<Option<EventPage>> {
        let prefix = match state {
            EventState::Pending => keys::EVENTS,
            EventState::Dead => keys::DEAD,
        };
        let after = match cursor.map(hex::decode) {
            None => None,
            Some(Ok(key)) if key.starts_with(prefix) => Some(key),
            Some(_) => return Ok(None),
        };
        let mut events = Vec::new();
        let mut last = None;
        let mut more = false;
        self.kv.scan(prefix, after.as_deref(), &mut |key, value| {
            more = events.len() >= limit;
            if !more {
                events.push(values::decode::<EventValue>(value)?.kept(state));
                last = Some(hex::encode(key));
            }
            Ok(!more)
        })?;
        let cursor = last.filter(|_| more);
        Ok(Some(EventPage { events, cursor }))
    }

    fn get_event(&self, id: &EventId) -> Result<Option<StoredEvent>> {
        for (key, state) in [
            (keys::event(id), EventState::Pending),
            (keys::dead(id), EventState::Dead),
        ] {
            if let Some(bytes) = self.kv.get(&key)? {
                return Ok(Some(values::decode::<EventValue>(&bytes)?.kept(state)));
            }
        }
        Ok(None)
    }

    fn replay(&self, id: &EventId) -> Result<bool> {
        let claims = self.claims.lock();
        let now_ms = self.clock.now_ms();
        let mut batch = Batch::default();
        let dead = self.kv.get(&keys::dead(id))?;
        let mut value: EventValue = match (&dead, self.kv.get(&keys::event(id))?) {
            (Some(bytes), _) => {
                let mut value: EventValue = values::decode(bytes)?;
                value.attempts = history_after_replay(value.attempts, now_ms);
                batch.remove(keys::dead(id));
                value
            }
            (None, Some(bytes)) => {
                let value: EventValue = values::decode(&bytes)?;
                // It is being tried.
                if claims.get(id).is_some_and(|until| *until > now_ms) {
                    return Ok(true);
                }
                batch.remove(keys::due(value.due_ms, id));
                value
            }
            (None, None) => return Ok(false),
        };
        value.due_ms = now_ms;
        batch.put(keys::due(now_ms, id), Vec::new());
        batch.put(keys::event(id), values::encode(&value)?);
        self.kv.apply(batch)?;
        if dead.is_some() {
            self.pending.fetch_add(1, Ordering::Relaxed);
            self.dead.fetch_sub(1, Ordering::Relaxed);
        }
        self.queue_changed.notify_one();
        Ok(true)
    }

    fn oldest_ms(&self) -> Result<u64> {
        let mut queued_at_ms = None;
        // Event ids sort by time.
        self.kv.scan(keys::EVENTS, None, &mut |_, value| {
            queued_at_ms = values::decode::<EventValue>(value)
                .ok()
                .map(|value| value.queued_at_ms);
            Ok(queued_at_ms.is_none())
        })?;
        Ok(queued_at_ms.map_or(0, |at| self.clock.now_ms().saturating_sub(at)))
    }
}

#[async_trait]
impl<K: Kv> CallbackQueue for EmbeddedStore<K> {
    async fn enqueue(&self, event: Event) -> Result<Enqueued> {
        if self.0.queue_is_full() {
            return Ok(Enqueued::Full);
        }
        self.0.kv.writable()?;
        let mut batch = Batch::default();
        self.0
            .queue_event(event, self.0.clock.now_ms(), &mut batch)?;
        self.0.apply_events(batch)?;
        self.0.kv.durable().await?;
        Ok(Enqueued::Queued)
    }

    /// Nobody hears of an event that might yet be undone by the process' death: the access would be
    /// settled anew, and reported under another id.
    ///
    /// Nothing is claimed while the disk takes no writes: that it was delivered could not be kept.
    async fn claim(&self, max: usize, lease: Duration) -> Result<Vec<ClaimedEvent>> {
        if self.0.kv.writable().is_err() {
            return Ok(Vec::new());
        }
        let claimed = self.0.claim(max, lease)?;
        if !claimed.is_empty() {
            self.0.kv.durable().await.inspect_err(|_| {
                // Nobody gets them now: they are due, not somebody's until the lease ends.
                let mut claims = self.0.claims.lock();
                claimed.iter().for_each(|claimed| {
                    claims.remove(&claimed.event.id);
                });
            })?;
        }
        Ok(claimed)
    }

    async fn wait_until_due(&self, at_most: Duration) {
        // Running out of time is one of the two ways to return.
        let _ = tokio::time::timeout(at_most, self.0.queue_changed.notified()).await;
    }

    async fn ack(&self, id: &EventId) -> Result<()> {
        self.0.conclude(id, |_, batch| {
            batch.remove(keys::event(id));
            Ok(Becomes::Nothing)
        })?;
        self.0.kv.durable().await
    }

    async fn retry(&self, id: &EventId, attempt: Attempt, at_ms: u64) -> Result<()> {
        self.0.reschedule(id, Some(attempt), at_ms)?;
        self.0.kv.durable().await
    }

    /// Not flushed: after the process' death the event is due at once.
    async fn release_claim(&self, id: &EventId, at_ms: u64) -> Result<()> {
        self.0.reschedule(id, None, at_ms)
    }

    async fn dead_letter(&self, id: &EventId, attempt: Attempt) -> Result<()> {
        self.0.conclude(id, |mut value, batch| {
            value.attempts.push(attempt);
            batch.remove(keys::event(id));
            batch.put(keys::dead(id), values::encode(&value)?);
            Ok(Becomes::Dead)
        })?;
        self.0.kv.durable().await
    }

    async fn list_events(
        &self,
        state: EventState,
        limit: usize,
        cursor: Option<&str>,
    ) -> Result<Option<EventPage>> {
        self.0.list_events(state, limit, cursor)
    }

    async fn get_event(&self, id: &EventId) -> Result<Option<StoredEvent>> {
        self.0.get_event(id)
    }

    async fn replay(&self, id: &EventId) -> Result<bool> {
        self.0.kv.writable()?;
        let was_there = self.0.replay(id)?;
        self.0.kv.durable().await?;
        Ok(was_there)
    }

    fn max_pending(&self) -> u64 {
        self.0.limits.max_pending
    }

    fn pending(&self) -> u64 {
        self.0.pending.load(Ordering::Relaxed)
    }

    async fn stats(&self) -> Result<QueueStats> {
        Ok(QueueStats {
            pending: self.0.pending.load(Ordering::Relaxed),
            dead: self.0.dead.load(Ordering::Relaxed),
            oldest_ms: self.0.oldest_ms()?,
        })
    }
}
