//! The outbox of callback events. An event's id says in which partition it is.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::join_all;

use super::keys::{self, Partition};
use super::reply::Items;
use super::{Inner, RedisStore, fresh_id, json, millis, parse};
use crate::callback_queue::{
    Attempt, CallbackQueue, Claimed, Enqueued, Event, EventId, EventPage, EventState, KeptEvent,
    QueueStats,
};
use crate::clock::{Clock, SystemClock};
use crate::error::Result;

/// How often a claim looks again where other nodes were faster.
const CLAIM_ROUNDS: usize = 4;
/// In place of a due time: when it was queued.
const FRESH: u64 = u64::MAX;

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
            let call = self.scripts.stats.on(partition);
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

    /// Up to `most` events that are due, oldest due time first.
    async fn due(&self, most: usize) -> Result<Vec<(u64, Partition, String)>> {
        let now_ms = SystemClock.now_ms();
        let each = self.outlook.partitions(now_ms).into_iter();
        let each = each.map(async |partition| {
            let call = self.scripts.peek.on(partition).arg(most);
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
            Ok(due)
        });
        let mut due: Vec<_> = self.on_those_up(each.collect()).await?.concat();
        due.sort_unstable();
        due.truncate(most);
        Ok(due)
    }

    async fn claim(&self, max: usize, lease: Duration) -> Result<Vec<Claimed>> {
        // One at a time on a node: they would only take from each other.
        let _alone = self.claiming.lock().await;
        let mut claimed: Vec<(u64, Claimed)> = Vec::new();
        if max == 0 {
            return Ok(Vec::new());
        }
        self.put_back_unheard().await;
        for _ in 0..CLAIM_ROUNDS {
            let room = max - claimed.len();
            let fresh = self.fresh.take(room).into_iter();
            let fresh: BTreeSet<String> = fresh.map(|id| id.as_str().to_owned()).collect();
            let old = match self.due(room).await {
                Ok(old) => old.into_iter(),
                Err(error) if claimed.is_empty() => return Err(error),
                // What is claimed already has to be handed out.
                Err(_) => break,
            };
            let old = old.filter(|(_, _, event)| !fresh.contains(event));
            let mut due: Vec<_> = old.take(room - fresh.len()).collect();
            due.extend(fresh.iter().map(|event| {
                let partition = keys::partition_of_event(&EventId::from_string(event.clone()));
                (FRESH, partition, event.clone())
            }));
            let wanted = due.len();
            let before = claimed.len();
            let mut groups = BTreeMap::<Partition, Vec<(u64, String)>>::new();
            for (at, partition, event) in due {
                groups.entry(partition).or_default().push((at, event));
            }
            let each = groups.into_iter().map(async |(partition, events)| {
                let mut call = self.scripts.take.on(partition).arg(millis(lease));
                for (_, event) in &events {
                    call.push(event);
                }
                let reply = call.attempt(&self.link).await;
                let reply = reply.map_err(|failure| {
                    if failure.may_have_run() {
                        let ids = events
                            .iter()
                            .map(|(_, id)| EventId::from_string(id.clone()));
                        self.unheard.lock().extend(ids);
                    }
                    failure.of(call.operation())
                })?;
                let mut taken = Vec::new();
                for item in reply.items()? {
                    let (event, claimed) = match parse_claimed(&mut item.items()?) {
                        Ok(parsed) => parsed,
                        Err(error) => {
                            // It must not keep the others from being delivered.
                            tracing::error!(%error, partition, "a callback cannot be read");
                            continue;
                        }
                    };
                    let at = events.iter().find(|(_, id)| *id == event);
                    let at = at.map_or(0, |(at, _)| *at);
                    let queued = claimed.queued_at_ms;
                    taken.push((if at == FRESH { queued } else { at }, claimed));
                }
                Ok(taken)
            });
            match self.on_those_up(each.collect()).await {
                Ok(taken) => claimed.extend(taken.into_iter().flatten()),
                Err(error) if claimed.is_empty() => return Err(error),
                Err(_) => break,
            }
            if claimed.len() - before == wanted || claimed.len() >= max {
                break;
            }
        }
        let found: BTreeSet<_> = claimed
            .iter()
            .map(|(_, one)| one.event.id.clone())
            .collect();
        self.fresh.forget(|id| found.contains(id));
        self.unheard.lock().retain(|id| !found.contains(id));
        claimed.sort_by_key(|(at, _)| *at);
        Ok(claimed.into_iter().map(|(_, claimed)| claimed).collect())
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

    /// `true` where the event was there.
    async fn conclude(
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
        let script = &self.scripts.conclude;
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

/// The event's id, and what was claimed.
pub fn parse_claimed(items: &mut Items) -> Result<(String, Claimed)> {
    let id = items.text()?;
    let value = items.text()?;
    Ok((id, claimed(&value, &items.text()?)?))
}

/// `value` as it is stored, `attempts` as JSON with commas between them.
pub fn claimed(value: &str, attempts: &str) -> Result<Claimed> {
    let (queued_at_ms, event) = value.split_once(':').unwrap_or(("0", value));
    Ok(Claimed {
        event: parse::from_json(event)?,
        attempts: parse::from_json(&format!("[{attempts}]"))?,
        queued_at_ms: queued_at_ms.parse().unwrap_or_default(),
    })
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

    async fn claim(&self, max: usize, lease: Duration) -> Result<Vec<Claimed>> {
        self.0.claim(max, lease).await
    }

    async fn wait(&self, at_most: Duration) {
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

    async fn put_back(&self, id: &EventId, at_ms: u64) -> Result<()> {
        self.0.conclude(id, "retry", None, at_ms).await?;
        Ok(())
    }

    async fn bury(&self, id: &EventId, attempt: Attempt) -> Result<()> {
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

    async fn get_event(&self, id: &EventId) -> Result<Option<KeptEvent>> {
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
