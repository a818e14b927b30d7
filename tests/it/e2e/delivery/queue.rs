//! A callback queue in memory that records calls and can panic.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use asset_gateway_backends::callback_queue::{
    CallbackQueue, Enqueued, EventPage, EventState, QueueStats, StoredEvent,
};
use asset_gateway_backends::clock::{Clock, SystemClock};
use asset_gateway_backends::error::Result;
use asset_gateway_backends::event::{Attempt, ClaimedEvent, Event, EventId};
use async_trait::async_trait;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::timeout;

use super::PATIENCE;

#[derive(Clone)]
pub(super) struct Row {
    event: Event,
    pub(super) attempts: Vec<Attempt>,
    pub(super) due_ms: u64,
    pub(super) claimed_until_ms: u64,
}

/// The port's contract over a map, with a record of the calls.
#[derive(Default)]
pub(super) struct MemoryQueue {
    pub(super) rows: Mutex<BTreeMap<String, Row>>,
    pub(super) delivered: Mutex<Vec<String>>,
    pub(super) dead: Mutex<HashMap<String, Vec<Attempt>>>,
    pub(super) release_claim: AtomicUsize,
    /// The number of next calls of `ack` that panic.
    pub(super) panics: AtomicUsize,
    changed: Notify,
}

impl MemoryQueue {
    fn finish(&self, id: &EventId) -> Option<Row> {
        let row = self.rows.lock().remove(id.as_str());
        self.changed.notify_waiters();
        row
    }

    fn release(&self, id: &EventId, attempt: Option<Attempt>, at_ms: u64) {
        if let Some(row) = self.rows.lock().get_mut(id.as_str()) {
            row.attempts.extend(attempt);
            row.due_ms = at_ms;
            row.claimed_until_ms = 0;
        }
        self.changed.notify_waiters();
    }

    /// Waits until `holds` says so.
    pub(super) async fn until(&self, holds: impl Fn(&Self) -> bool) {
        let wait = async {
            loop {
                let changed = self.changed.notified();
                if holds(self) {
                    return;
                }
                changed.await;
            }
        };
        timeout(PATIENCE, wait).await.expect("it comes to hold");
    }

    pub(super) fn row(&self, id: &EventId) -> Row {
        self.rows.lock()[id.as_str()].clone()
    }
}

#[async_trait]
impl CallbackQueue for MemoryQueue {
    async fn enqueue(&self, event: Event) -> Result<Enqueued> {
        let row = Row {
            due_ms: SystemClock.now_ms(),
            attempts: Vec::new(),
            claimed_until_ms: 0,
            event,
        };
        let id = row.event.id.as_str().to_owned();
        self.rows.lock().insert(id, row);
        self.changed.notify_waiters();
        Ok(Enqueued::Queued)
    }

    async fn claim(&self, max: usize, lease: Duration) -> Result<Vec<ClaimedEvent>> {
        let now_ms = SystemClock.now_ms();
        let mut rows = self.rows.lock();
        let mut due: Vec<_> = rows
            .values_mut()
            .filter(|row| row.due_ms <= now_ms && row.claimed_until_ms <= now_ms)
            .collect();
        due.sort_by_key(|row| row.due_ms);
        Ok(due
            .into_iter()
            .take(max)
            .map(|row| {
                row.claimed_until_ms = now_ms + lease.as_millis() as u64;
                ClaimedEvent {
                    event: row.event.clone(),
                    attempts: row.attempts.clone(),
                    queued_at_ms: now_ms,
                }
            })
            .collect())
    }

    async fn wait_until_due(&self, at_most: Duration) {
        let now_ms = SystemClock.now_ms();
        let next_due = self
            .rows
            .lock()
            .values()
            .map(|row| row.due_ms.max(row.claimed_until_ms))
            .min()
            .map_or(at_most, |due| {
                Duration::from_millis(due.saturating_sub(now_ms))
            });
        let _ = timeout(at_most.min(next_due), self.changed.notified()).await;
    }

    async fn ack(&self, id: &EventId) -> Result<()> {
        let panics = self
            .panics
            .fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1));
        assert!(panics.is_err(), "told to");
        self.delivered.lock().push(id.as_str().to_owned());
        self.finish(id);
        Ok(())
    }

    async fn retry(&self, id: &EventId, attempt: Attempt, at_ms: u64) -> Result<()> {
        self.release(id, Some(attempt), at_ms);
        Ok(())
    }

    async fn release_claim(&self, id: &EventId, at_ms: u64) -> Result<()> {
        self.release_claim.fetch_add(1, SeqCst);
        self.release(id, None, at_ms);
        Ok(())
    }

    async fn dead_letter(&self, id: &EventId, attempt: Attempt) -> Result<()> {
        let row = self.rows.lock().remove(id.as_str());
        if let Some(mut row) = row {
            row.attempts.push(attempt);
            self.dead
                .lock()
                .insert(id.as_str().to_owned(), row.attempts);
        }
        self.changed.notify_waiters();
        Ok(())
    }

    /// Nobody looks at what this one keeps.
    async fn list_events(
        &self,
        _: EventState,
        _: usize,
        _: Option<&str>,
    ) -> Result<Option<EventPage>> {
        Ok(None)
    }

    async fn get_event(&self, _: &EventId) -> Result<Option<StoredEvent>> {
        Ok(None)
    }

    async fn replay(&self, _: &EventId) -> Result<bool> {
        Ok(false)
    }

    fn pending(&self) -> u64 {
        self.rows.lock().len() as u64
    }

    fn max_pending(&self) -> u64 {
        u64::MAX
    }

    async fn stats(&self) -> Result<QueueStats> {
        Ok(QueueStats::default())
    }
}
