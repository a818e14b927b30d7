//! The callback queue's port: events, their due index, claims and dead letters.

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

/// What becomes of an event when its claim is concluded.
enum Conclusion {
    Due,
    Removed,
    Dead,
}

impl<K: Kv> Inner<K> {
    /// Adds an event that is due at once to `batch`, for [`apply_events`](Self::apply_events).
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

    /// Applies a batch, counts the events in it and wakes [`wait_until_due`](CallbackQueue).
    pub fn apply_events(&self, batch: Batch) -> Result<()> {
        if batch.is_empty() {
            return Ok(());
        }
        let events: Vec<EventId> = batch
            .puts(keys::EVENTS)
            .filter_map(keys::parse_event)
            .collect();
        let queued = events.len() as u64;
        // Counted before they can be claimed and concluded, so that the count never underflows.
        self.pending.fetch_add(queued, Ordering::Relaxed);
        self.kv.apply(batch).inspect_err(|_| {
            self.pending.fetch_sub(queued, Ordering::Relaxed);
        })?;
        if queued > 0 {
            events
                .into_iter()
                .for_each(|event| self.recent_events.note(event));
            self.queue_changed.notify_one();
        }
        Ok(())
    }

    /// Claims recent events for half of the room, and due ones for the rest.
    fn claim(&self, max: usize, lease: Duration) -> Result<Vec<ClaimedEvent>> {
        let mut claims = self.claims.lock();
        let recent = self.recent_events.take(max);
        // Read after `take`: a recent event queued in between would not seem due, and be lost here.
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
                    // Claimed for good, so that it does not block other events.
                    tracing::error!(
                        exception.message = %error, event_id = id.as_str(),
                        "cannot read a callback event"
                    );
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
        for id in recent {
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
        self.recent_events.forget(|id| claims.contains_key(id));
        claimed.sort_by(|a, b| (a.due_ms, &a.event.id).cmp(&(b.due_ms, &b.event.id)));
        let claimed = claimed.into_iter().map(|value| ClaimedEvent {
            event: value.event,
            attempts: value.attempts,
            queued_at_ms: value.queued_at_ms,
        });
        Ok(claimed.collect())
    }

    /// Ends the claim of an event: removes it from the due index, and applies what `then` decides. Does
    /// nothing for an unknown event.
    fn conclude(
        &self,
        id: &EventId,
        then: impl FnOnce(EventValue, &mut Batch) -> Result<Conclusion>,
    ) -> Result<()> {
        let mut claims = self.claims.lock();
        let Some(value) = values::read::<EventValue>(&self.kv, &keys::event(id))? else {
            return Ok(());
        };
        let mut batch = Batch::default();
        batch.remove(keys::due(value.due_ms, id));
        let conclusion = then(value, &mut batch)?;
        self.kv.apply(batch)?;
        claims.remove(id);
        match conclusion {
            Conclusion::Due => {}
            Conclusion::Removed => {
                self.pending.fetch_sub(1, Ordering::Relaxed);
            }
            Conclusion::Dead => {
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
            Ok(Conclusion::Due)
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
                events.push(values::decode::<EventValue>(value)?.stored(state));
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
            if let Some(value) = values::read::<EventValue>(&self.kv, &key)? {
                return Ok(Some(value.stored(state)));
            }
        }
        Ok(None)
    }

    fn replay(&self, id: &EventId) -> Result<bool> {
        let claims = self.claims.lock();
        let now_ms = self.clock.now_ms();
        let mut batch = Batch::default();
        let dead: Option<EventValue> = values::read(&self.kv, &keys::dead(id))?;
        let was_dead = dead.is_some();
        let mut value = match (
            dead,
            values::read::<EventValue>(&self.kv, &keys::event(id))?,
        ) {
            (Some(mut value), _) => {
                value.attempts = history_after_replay(value.attempts, now_ms);
                batch.remove(keys::dead(id));
                value
            }
            (None, Some(value)) => {
                // An attempt is in progress.
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
        if was_dead {
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

    /// Returns claimed events only once they are durable: if a crash undid one, its access would be
    /// reported again under another id.
    ///
    /// Claims nothing while the disk accepts no writes, because the result could not be stored.
    async fn claim(&self, max: usize, lease: Duration) -> Result<Vec<ClaimedEvent>> {
        if self.0.kv.writable().is_err() {
            return Ok(Vec::new());
        }
        let claimed = self.0.claim(max, lease)?;
        if !claimed.is_empty() {
            self.0.kv.durable().await.inspect_err(|_| {
                // The caller does not get them, so they must be due for the next claim.
                let mut claims = self.0.claims.lock();
                claimed.iter().for_each(|claimed| {
                    claims.remove(&claimed.event.id);
                });
            })?;
        }
        Ok(claimed)
    }

    async fn wait_until_due(&self, at_most: Duration) {
        // A timeout is one of the two ways to return.
        let _ = tokio::time::timeout(at_most, self.0.queue_changed.notified()).await;
    }

    async fn ack(&self, id: &EventId) -> Result<()> {
        self.0.conclude(id, |_, batch| {
            batch.remove(keys::event(id));
            Ok(Conclusion::Removed)
        })?;
        self.0.kv.durable().await
    }

    async fn retry(&self, id: &EventId, attempt: Attempt, at_ms: u64) -> Result<()> {
        self.0.reschedule(id, Some(attempt), at_ms)?;
        self.0.kv.durable().await
    }

    /// Not flushed to disk: after a crash the event is due at its previous due time.
    async fn release_claim(&self, id: &EventId, at_ms: u64) -> Result<()> {
        self.0.reschedule(id, None, at_ms)
    }

    async fn dead_letter(&self, id: &EventId, attempt: Attempt) -> Result<()> {
        self.0.conclude(id, |mut value, batch| {
            value.attempts.push(attempt);
            batch.remove(keys::event(id));
            batch.put(keys::dead(id), values::encode(&value)?);
            Ok(Conclusion::Dead)
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
