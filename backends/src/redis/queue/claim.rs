//! Claiming events that are due: what this node has queued just now, and what waits for longest.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures_util::future::join_all;
use parking_lot::Mutex;

use crate::clock::{Clock, SystemClock};
use crate::error::Result;
use crate::event::{ClaimedEvent, EventId};
use crate::redis::keys::{self, Partition};
use crate::redis::scripts::decode;
use crate::redis::{Inner, millis};

/// How often a claim looks again where other nodes were faster.
const ROUNDS: usize = 4;
/// In place of a due time: when it was queued.
const FRESH: u64 = u64::MAX;
/// Until a claim looks again where part of a cluster was away.
const AGAIN_AFTER_MS: u64 = 500;

impl Inner {
    /// Up to `most` events that are due, oldest due time first. Fails where no partition answers.
    async fn due(&self, most: usize, unseen: &Unseen<'_>) -> Result<Vec<(u64, Partition, String)>> {
        let now_ms = SystemClock.now_ms();
        let partitions = self.outlook.partitions(now_ms);
        let some = partitions.len() < keys::all_partitions().count();
        match self.due_in(partitions, now_ms, most, unseen).await {
            // Part of a cluster is away, or all of it.
            Err(_) if some => {
                self.outlook.look_everywhere(now_ms);
                let all = self.outlook.partitions(now_ms);
                self.due_in(all, now_ms, most, unseen).await
            }
            due => due,
        }
    }

    async fn due_in(
        &self,
        partitions: Vec<Partition>,
        now_ms: u64,
        most: usize,
        unseen: &Unseen<'_>,
    ) -> Result<Vec<(u64, Partition, String)>> {
        unseen.partitions.lock().extend(&partitions);
        let each = partitions.into_iter().map(async |partition| {
            let call = self.scripts.find_due.on(partition).arg(most);
            let mut items = call.run(&self.link).await?.items()?;
            let mut more_in = items.optional()?;
            let mut items = items.part()?.items()?;
            let mut due = Vec::new();
            while !items.is_empty() {
                let event = items.text()?;
                due.push((items.number()?, partition, event));
                // Whether it is taken or not, there will be something to see.
                more_in = Some(0);
            }
            if let Some(more_in) = more_in {
                self.outlook.note(partition, now_ms.saturating_add(more_in));
            }
            unseen.partitions.lock().remove(&partition);
            Ok(due)
        });
        let mut due: Vec<_> = self.on_those_up(each.collect()).await?.concat();
        due.sort_unstable();
        due.truncate(most);
        Ok(due)
    }

    pub async fn claim(&self, max: usize, lease: Duration) -> Result<Vec<ClaimedEvent>> {
        // One at a time on a node: they would only take from each other.
        let _alone = self.claiming.lock().await;
        let mut claimed: Vec<(u64, ClaimedEvent)> = Vec::new();
        if max == 0 {
            return Ok(Vec::new());
        }
        self.put_back_unheard().await;
        let unseen = Unseen::of(self);
        for _ in 0..ROUNDS {
            let room = max - claimed.len();
            let mut fresh = unseen.take_fresh(room);
            let old = match self.due(room, &unseen).await {
                Ok(old) => old.into_iter(),
                Err(error) if claimed.is_empty() => return Err(error),
                // What is claimed already has to be handed out.
                Err(_) => break,
            };
            fresh.retain(|event| !unseen.is_away(event));
            let old = old.filter(|(_, _, event)| !fresh.contains(event));
            let mut due: Vec<_> = old.take(room - fresh.len()).collect();
            due.extend(
                fresh
                    .iter()
                    .map(|event| (FRESH, partition_of(event), event.clone())),
            );
            let wanted = due.len();
            let before = claimed.len();
            let mut groups = BTreeMap::<Partition, Vec<(u64, String)>>::new();
            for (at, partition, event) in due {
                groups.entry(partition).or_default().push((at, event));
            }
            let each = groups.into_iter();
            let each = each.map(|(partition, events)| self.take(partition, events, lease, &unseen));
            match self.on_those_up(each.collect()).await {
                Ok(taken) => claimed.extend(taken.into_iter().flatten()),
                Err(error) if claimed.is_empty() => return Err(error),
                Err(_) => break,
            }
            if claimed.len() - before == wanted || claimed.len() >= max {
                break;
            }
        }
        unseen.leave_for_later();
        let found: BTreeSet<_> = claimed
            .iter()
            .map(|(_, one)| one.event.id.clone())
            .collect();
        self.fresh.forget(|id| found.contains(id));
        self.unheard.lock().retain(|id| !found.contains(id));
        claimed.sort_by_key(|(at, _)| *at);
        Ok(claimed.into_iter().map(|(_, claimed)| claimed).collect())
    }

    /// Claims those of the `events`, each with its due time, that nobody else has claimed.
    async fn take(
        &self,
        partition: Partition,
        events: Vec<(u64, String)>,
        lease: Duration,
        unseen: &Unseen<'_>,
    ) -> Result<Vec<(u64, ClaimedEvent)>> {
        let mut call = self.scripts.claim.on(partition).arg(millis(lease));
        for (_, event) in &events {
            call.push(event);
        }
        let reply = match call.attempt(&self.link).await {
            Ok(reply) => reply,
            Err(failure) => {
                if failure.may_have_run() {
                    unseen.forget(&events);
                    let ids = events.into_iter().map(|(_, id)| EventId::from_string(id));
                    self.unheard.lock().extend(ids);
                }
                return Err(failure.of(call.operation()));
            }
        };
        unseen.forget(&events);
        let mut taken = Vec::new();
        for item in reply.items()? {
            let (event, claimed) = match decode::parse_claimed(&mut item.items()?) {
                Ok(parsed) => parsed,
                Err(error) => {
                    // It must not keep the others from being delivered.
                    tracing::error!(exception.message = %error, partition, "a callback cannot be read");
                    continue;
                }
            };
            let at = events.iter().find(|(_, id)| *id == event);
            let at = at.map_or(0, |(at, _)| *at);
            let queued = claimed.queued_at_ms;
            taken.push((if at == FRESH { queued } else { at }, claimed));
        }
        Ok(taken)
    }

    /// Claims whose answer was lost: this node may hold them, and nobody would look at them until
    /// they lapse. One that another node holds is delivered twice.
    async fn put_back_unheard(&self) {
        let unheard = std::mem::take(&mut *self.unheard.lock());
        let all = unheard.into_iter().map(async |id| {
            // Due at once, whatever this machine's clock says.
            match self.conclude(&id, "retry", None, 0).await {
                Ok(_) => None,
                Err(_) => Some(id),
            }
        });
        let left = join_all(all).await.into_iter().flatten();
        self.unheard.lock().extend(left);
    }
}

fn partition_of(event: &str) -> Partition {
    keys::partition_of_event(&EventId::from_string(event.to_owned()))
}

/// Where a claim looks and what it has taken off this node's list. What it then could not look at is
/// for the next claim where this one fails or is cut short; not for its own next round, which would
/// wait for the same Redis again.
struct Unseen<'a> {
    store: &'a Inner,
    partitions: Mutex<BTreeSet<Partition>>,
    fresh: Mutex<BTreeSet<String>>,
}

impl<'a> Unseen<'a> {
    fn of(store: &'a Inner) -> Self {
        Self {
            store,
            partitions: Mutex::default(),
            fresh: Mutex::default(),
        }
    }

    fn take_fresh(&self, room: usize) -> BTreeSet<String> {
        let fresh = self.store.fresh.take(room).into_iter();
        let fresh: BTreeSet<String> = fresh.map(|id| id.as_str().to_owned()).collect();
        self.fresh.lock().extend(fresh.iter().cloned());
        fresh
    }

    /// Its partition has not answered.
    fn is_away(&self, event: &str) -> bool {
        self.partitions.lock().contains(&partition_of(event))
    }

    /// The rest has answered: the next claim is not to ask for this alone, nor to keep room for it. It
    /// is found by its due time.
    fn leave_for_later(mut self) {
        let away = std::mem::take(self.partitions.get_mut());
        if !away.is_empty() {
            let is_away = |id: &EventId| away.contains(&keys::partition_of_event(id));
            self.store.fresh.forget(is_away);
            let later_ms = SystemClock.now_ms().saturating_add(AGAIN_AFTER_MS);
            self.store.outlook.look_everywhere(later_ms);
        }
        self.fresh.get_mut().clear();
    }

    /// These were asked for.
    fn forget(&self, events: &[(u64, String)]) {
        let mut fresh = self.fresh.lock();
        for (_, event) in events {
            fresh.remove(event);
        }
    }
}

impl Drop for Unseen<'_> {
    fn drop(&mut self) {
        if !self.partitions.get_mut().is_empty() {
            self.store.outlook.look_everywhere(0);
        }
        // Behind the others: some that cannot be reached must not keep the rest waiting.
        for event in std::mem::take(self.fresh.get_mut()) {
            self.store.fresh.note(EventId::from_string(event));
        }
    }
}
