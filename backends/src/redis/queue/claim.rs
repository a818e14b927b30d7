//! Claims due events: those that this node has queued just now, and those that are due for longest.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures_util::future::join_all;
use parking_lot::Mutex;

use crate::clock::{Clock, SystemClock};
use crate::error::Result;
use crate::event::{ClaimedEvent, EventId};
use crate::redis::keys::{self, Partition};
use crate::redis::scripts::decode;
use crate::redis::{Inner, any_of, millis};

/// How often one claim polls again where other nodes have claimed the events first.
const MAX_ROUNDS: usize = 4;
/// In place of a due time: the event is a recent one, and counts as due since it was queued.
const RECENT: u64 = u64::MAX;
/// Before the next poll of all partitions where part of a cluster was away.
const OUTAGE_POLL_DELAY_MS: u64 = 500;

impl Inner {
    /// Up to `max` events that are due, the longest due first. Fails where no partition answers.
    async fn find_due(
        &self,
        max: usize,
        unpolled: &Unpolled<'_>,
    ) -> Result<Vec<(u64, Partition, String)>> {
        let now_ms = SystemClock.now_ms();
        let partitions = self.queue.due_index.take_due(now_ms);
        let is_subset = partitions.len() < keys::all_partitions().count();
        match self.find_due_in(partitions, now_ms, max, unpolled).await {
            // Part of a cluster is away, or all of it.
            Err(_) if is_subset => {
                self.queue.due_index.poll_all_at(now_ms);
                let all = self.queue.due_index.take_due(now_ms);
                self.find_due_in(all, now_ms, max, unpolled).await
            }
            due => due,
        }
    }

    async fn find_due_in(
        &self,
        partitions: Vec<Partition>,
        now_ms: u64,
        max: usize,
        unpolled: &Unpolled<'_>,
    ) -> Result<Vec<(u64, Partition, String)>> {
        unpolled.partitions.lock().extend(&partitions);
        let each = partitions.into_iter().map(async |partition| {
            let call = self.scripts.find_due.on(partition).arg(max);
            let mut items = call.run(&self.connection).await?.items()?;
            let mut next_due_in = items.optional()?;
            let mut items = items.item()?.items()?;
            let mut due = Vec::new();
            while !items.is_empty() {
                let event = items.text()?;
                due.push((items.number()?, partition, event));
                // Claimed or not, the next poll has to look here again.
                next_due_in = Some(0);
            }
            if let Some(next_due_in) = next_due_in {
                let at_ms = now_ms.saturating_add(next_due_in);
                self.queue.due_index.note_due(partition, at_ms);
            }
            unpolled.partitions.lock().remove(&partition);
            Ok(due)
        });
        let mut due: Vec<_> = any_of(each.collect()).await?.concat();
        due.sort_unstable();
        due.truncate(max);
        Ok(due)
    }

    pub async fn claim(&self, max: usize, lease: Duration) -> Result<Vec<ClaimedEvent>> {
        // Claims of one node would only take events from each other.
        let _lock = self.queue.claim_lock.lock().await;
        let mut claimed: Vec<(u64, ClaimedEvent)> = Vec::new();
        if max == 0 {
            return Ok(Vec::new());
        }
        self.release_unanswered_claims().await;
        let unpolled = Unpolled::of(self);
        for _ in 0..MAX_ROUNDS {
            let left = max - claimed.len();
            let mut recent = unpolled.take_recent(left);
            let due = match self.find_due(left, &unpolled).await {
                Ok(due) => due.into_iter(),
                Err(error) if claimed.is_empty() => return Err(error),
                // What is claimed already must be returned.
                Err(_) => break,
            };
            recent.retain(|event| !unpolled.is_away(event));
            let due = due.filter(|(_, _, event)| !recent.contains(event));
            let mut events: Vec<_> = due.take(left - recent.len()).collect();
            events.extend(
                recent
                    .iter()
                    .map(|event| (RECENT, partition_of(event), event.clone())),
            );
            let wanted = events.len();
            let before = claimed.len();
            let mut groups = BTreeMap::<Partition, Vec<(u64, String)>>::new();
            for (due_at, partition, event) in events {
                groups.entry(partition).or_default().push((due_at, event));
            }
            let each = groups.into_iter();
            let each =
                each.map(|(partition, events)| self.claim_in(partition, events, lease, &unpolled));
            match any_of(each.collect()).await {
                Ok(groups) => claimed.extend(groups.into_iter().flatten()),
                Err(error) if claimed.is_empty() => return Err(error),
                Err(_) => break,
            }
            if claimed.len() - before == wanted || claimed.len() >= max {
                break;
            }
        }
        unpolled.leave_for_later();
        let found: BTreeSet<_> = claimed
            .iter()
            .map(|(_, one)| one.event.id.clone())
            .collect();
        self.queue.recent_events.forget(|id| found.contains(id));
        let mut unanswered = self.queue.unanswered_claims.lock();
        unanswered.retain(|id| !found.contains(id));
        claimed.sort_by_key(|(due_at, _)| *due_at);
        Ok(claimed.into_iter().map(|(_, claimed)| claimed).collect())
    }

    /// Claims those of the `events`, each with its due time, that no other node has claimed.
    async fn claim_in(
        &self,
        partition: Partition,
        events: Vec<(u64, String)>,
        lease: Duration,
        unpolled: &Unpolled<'_>,
    ) -> Result<Vec<(u64, ClaimedEvent)>> {
        let mut call = self.scripts.claim.on(partition).arg(millis(lease));
        for (_, event) in &events {
            call.push(event);
        }
        let reply = match call.try_run(&self.connection).await {
            Ok(reply) => reply,
            Err(error) => {
                if error.may_have_run() {
                    unpolled.remove_recent(&events);
                    let ids = events.into_iter().map(|(_, id)| EventId::from_string(id));
                    self.queue.unanswered_claims.lock().extend(ids);
                }
                return Err(error.of(call.operation()));
            }
        };
        unpolled.remove_recent(&events);
        let mut claimed = Vec::new();
        for item in reply.items()? {
            let (event, one) = match decode::next_event(&mut item.items()?) {
                Ok(parsed) => parsed,
                Err(error) => {
                    // The other events can still be delivered.
                    tracing::error!(exception.message = %error, partition, "a callback cannot be parsed");
                    continue;
                }
            };
            let due_at = events.iter().find(|(_, id)| *id == event);
            let due_at = match due_at.map_or(0, |(due_at, _)| *due_at) {
                RECENT => one.queued_at_ms,
                due_at => due_at,
            };
            claimed.push((due_at, one));
        }
        Ok(claimed)
    }

    /// Releases claims whose reply was lost: if this node has claimed the events, nobody else would look at them until the
    /// claim lapses. An event that another node has claimed meanwhile is delivered twice.
    async fn release_unanswered_claims(&self) {
        let unanswered = std::mem::take(&mut *self.queue.unanswered_claims.lock());
        let all = unanswered.into_iter().map(async |id| {
            // Due at once, whatever this machine's clock says.
            match self.finish_claim(&id, "retry", None, 0).await {
                Ok(_) => None,
                Err(_) => Some(id),
            }
        });
        let left = join_all(all).await.into_iter().flatten();
        self.queue.unanswered_claims.lock().extend(left);
    }
}

fn partition_of(event: &str) -> Partition {
    keys::partition_of_event(&EventId::from_string(event.to_owned()))
}

/// Partitions and recent events that a claim has taken and not looked at. Where the claim fails or is dropped, they go back
/// for the next claim. They do not go back for its own next round, which would wait for the same Redis again.
struct Unpolled<'a> {
    store: &'a Inner,
    partitions: Mutex<BTreeSet<Partition>>,
    recent: Mutex<BTreeSet<String>>,
}

impl<'a> Unpolled<'a> {
    fn of(store: &'a Inner) -> Self {
        Self {
            store,
            partitions: Mutex::default(),
            recent: Mutex::default(),
        }
    }

    fn take_recent(&self, max: usize) -> BTreeSet<String> {
        let recent = self.store.queue.recent_events.take(max).into_iter();
        let recent: BTreeSet<String> = recent.map(|id| id.as_str().to_owned()).collect();
        self.recent.lock().extend(recent.iter().cloned());
        recent
    }

    /// The event's partition has not answered.
    fn is_away(&self, event: &str) -> bool {
        self.partitions.lock().contains(&partition_of(event))
    }

    /// The other partitions have answered: the next claims do not ask for these alone, and keep no places for their recent
    /// events, which the poll of all partitions finds.
    fn leave_for_later(mut self) {
        let away = std::mem::take(self.partitions.get_mut());
        if !away.is_empty() {
            let queue = &self.store.queue;
            let is_away = |id: &EventId| away.contains(&keys::partition_of_event(id));
            queue.recent_events.forget(is_away);
            let later_ms = SystemClock.now_ms().saturating_add(OUTAGE_POLL_DELAY_MS);
            queue.due_index.poll_all_at(later_ms);
        }
        self.recent.get_mut().clear();
    }

    fn remove_recent(&self, events: &[(u64, String)]) {
        let mut recent = self.recent.lock();
        for (_, event) in events {
            recent.remove(event);
        }
    }
}

impl Drop for Unpolled<'_> {
    fn drop(&mut self) {
        let queue = &self.store.queue;
        if !self.partitions.get_mut().is_empty() {
            queue.due_index.poll_all_at(0);
        }
        // At the end of the list: events that cannot be reached must not delay the others.
        for event in std::mem::take(self.recent.get_mut()) {
            queue.recent_events.note(EventId::from_string(event));
        }
    }
}
