//! In-memory queue state of this node: limits, pending count, due index, recent events.

use std::collections::BTreeSet;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::due_index::DueIndex;
use super::pending_count::PendingCount;
use crate::callback_queue::RecentEvents;
use crate::clock::{Clock, SystemClock};
use crate::event::{EventId, Outcome, Report};
use crate::redis::{keys, millis};
use crate::settings::QueueLimits;

pub struct QueueState {
    pub limits: QueueLimits,
    pub pending: PendingCount,
    pub due_index: DueIndex,
    pub recent_events: RecentEvents,
    /// Notified when an event may have become due.
    pub changed: Notify,
    pub claim_lock: tokio::sync::Mutex<()>,
    /// Events that this node may have claimed: the reply was lost.
    pub unanswered_claims: Mutex<BTreeSet<EventId>>,
}

impl QueueState {
    pub fn new(limits: QueueLimits) -> Self {
        Self {
            limits,
            pending: PendingCount::default(),
            due_index: DueIndex::new(),
            recent_events: RecentEvents::default(),
            changed: Notify::new(),
            claim_lock: tokio::sync::Mutex::default(),
            unanswered_claims: Mutex::default(),
        }
    }

    /// Whether the settings let such an event be sent.
    pub fn is_reported(&self, report: &Report) -> bool {
        self.limits.report_incomplete || report.outcome == Outcome::Complete
    }

    pub fn is_full(&self) -> bool {
        self.pending.count() >= self.limits.max_pending
    }

    pub fn is_half_full(&self) -> bool {
        self.pending.count() > self.limits.max_pending / 2
    }

    /// A script of this node has queued an event, and has claimed it where there is a `claim`.
    pub fn note_queued(&self, event: EventId, claim: Option<Duration>) {
        self.pending.add(1);
        let partition = keys::partition_of_event(&event);
        match claim {
            None => {
                self.due_index.note_due(partition, 0);
                self.recent_events.note(event);
                self.changed.notify_one();
            }
            Some(claim) => {
                let due_ms = SystemClock.now_ms().saturating_add(millis(claim));
                self.due_index.note_due(partition, due_ms);
            }
        }
    }
}
