//! Event inspection: lists, reads and replays events.

use std::collections::BTreeMap;

use crate::callback_queue::{EventPage, EventState, StoredEvent};
use crate::clock::{Clock, SystemClock};
use crate::error::Result;
use crate::event::{EventId, history_after_replay};
use crate::redis::keys::{self, Partition};
use crate::redis::scripts::decode;
use crate::redis::{Inner, all_of, json};

/// A position in the order of all events: when the event was queued (Unix ms), and its id.
type Position = (u64, String);

impl Inner {
    /// Merges the partitions: each names its next events, and the first of all are read.
    pub async fn list_events(
        &self,
        state: EventState,
        limit: usize,
        cursor: Option<&str>,
    ) -> Result<Option<EventPage>> {
        let after = match cursor.map(parse_cursor) {
            None => (0, String::new()),
            Some(Some(position)) => position,
            Some(None) => return Ok(None),
        };
        let index = match state {
            EventState::Pending => keys::EVENTS_BY_AGE,
            EventState::Dead => keys::DEAD_LETTERS_BY_AGE,
        };
        let each = keys::all_partitions().map(async |partition| {
            let call = self.scripts.list_events.on(partition);
            // One more tells whether there is a next page.
            let call = call.arg(index).arg(after.0).arg(&after.1).arg(limit + 1);
            let mut items = call.run(&self.connection).await?.items()?;
            let mut positions = Vec::new();
            while !items.is_empty() {
                let id = items.text()?;
                positions.push(((items.number()?, id), partition));
            }
            Ok(positions)
        });
        let mut positions: Vec<(Position, Partition)> = all_of(each.collect()).await?.concat();
        positions.sort_unstable();
        let more = positions.len() > limit;
        positions.truncate(limit);
        let cursor = positions.last().filter(|_| more);
        let cursor = cursor.map(|((at, id), _)| format!("{at}-{id}"));

        let mut groups = BTreeMap::<Partition, Vec<String>>::new();
        for ((_, id), partition) in &positions {
            groups.entry(*partition).or_default().push(id.clone());
        }
        let each = groups
            .into_iter()
            .map(|(partition, ids)| self.get_events(partition, ids));
        let mut events: Vec<_> = all_of(each.collect()).await?.concat();
        // Events may have changed their state meanwhile.
        events.retain(|stored| stored.due_ms.is_none() == (state == EventState::Dead));
        events.sort_by(|a, b| {
            let position = |stored: &StoredEvent| (stored.queued_at_ms, stored.event.id.clone());
            position(a).cmp(&position(b))
        });
        Ok(Some(EventPage { events, cursor }))
    }

    pub async fn get_event(&self, id: &EventId) -> Result<Option<StoredEvent>> {
        let partition = keys::partition_of_event(id);
        let ids = vec![id.as_str().to_owned()];
        Ok(self.get_events(partition, ids).await?.pop())
    }

    async fn get_events(&self, partition: Partition, ids: Vec<String>) -> Result<Vec<StoredEvent>> {
        let call = self.scripts.get_events.on(partition).arg(ids);
        let mut events = Vec::new();
        for item in call.run(&self.connection).await?.items()? {
            let mut items = item.items()?;
            let claimed = match decode::next_event(&mut items) {
                Ok((_, claimed)) => claimed,
                Err(error) => {
                    tracing::error!(exception.message = %error, partition, "a callback cannot be parsed");
                    continue;
                }
            };
            events.push(StoredEvent {
                event: claimed.event,
                attempts: claimed.attempts,
                queued_at_ms: claimed.queued_at_ms,
                due_ms: items.optional()?,
            });
        }
        Ok(events)
    }

    pub async fn replay(&self, id: &EventId) -> Result<bool> {
        let Some(stored) = self.get_event(id).await? else {
            return Ok(false);
        };
        let partition = keys::partition_of_event(id);
        let attempts = history_after_replay(stored.attempts, SystemClock.now_ms());
        let attempts = json("redis.replay", &attempts)?;
        // Stored without brackets, so that scripts can append.
        let attempts = attempts.trim_start_matches('[').trim_end_matches(']');
        let call = self.scripts.replay.on_event(id).arg(attempts);
        let mut items = call.run(&self.connection).await?.items()?;
        let (was_there, was_dead) = (items.number()? == 1, items.number()? == 1);
        if was_dead {
            self.queue.pending.add(1);
        }
        if was_there {
            self.queue.due_index.note_due(partition, 0);
            self.queue.changed.notify_one();
        }
        Ok(was_there)
    }
}

fn parse_cursor(cursor: &str) -> Option<Position> {
    let (at, id) = cursor.split_once('-')?;
    let is_id = id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    Some((at.parse().ok()?, id.to_owned())).filter(|_| is_id)
}
