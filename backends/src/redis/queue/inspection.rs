//! Looking at events, and replaying those that were given up.

use std::collections::BTreeMap;

use crate::callback_queue::{EventPage, EventState, StoredEvent};
use crate::clock::{Clock, SystemClock};
use crate::error::Result;
use crate::event::{EventId, history_after_replay};
use crate::redis::keys::{self, Partition};
use crate::redis::scripts::decode;
use crate::redis::{Inner, json};

/// A place in the order of all events: when it was queued (Unix ms), and its id.
type Place = (u64, String);

impl Inner {
    /// The partitions' events in one order: each names its next ones, and the first of all are read.
    pub async fn list_events(
        &self,
        state: EventState,
        limit: usize,
        cursor: Option<&str>,
    ) -> Result<Option<EventPage>> {
        let after = match cursor.map(parse_cursor) {
            None => (0, String::new()),
            Some(Some(place)) => place,
            Some(None) => return Ok(None),
        };
        let index = match state {
            EventState::Pending => "age",
            EventState::Dead => "dead",
        };
        let each = keys::all_partitions().map(async |partition| {
            let script = &self.scripts.list_events;
            let call = script
                .on(partition)
                .arg(index)
                .arg(after.0)
                .arg(&after.1)
                // One more tells whether there is a next page.
                .arg(limit + 1);
            let mut items = call.run(&self.link).await?.items()?;
            let mut places = Vec::new();
            while !items.is_empty() {
                let id = items.text()?;
                places.push(((items.number()?, id), partition));
            }
            Ok(places)
        });
        let mut places: Vec<(Place, Partition)> = self.on_each(each.collect()).await?.concat();
        places.sort_unstable();
        let more = places.len() > limit;
        places.truncate(limit);
        let cursor = places.last().filter(|_| more);
        let cursor = cursor.map(|((at, id), _)| format!("{at}-{id}"));

        let mut groups = BTreeMap::<Partition, Vec<String>>::new();
        for ((_, id), partition) in &places {
            groups.entry(*partition).or_default().push(id.clone());
        }
        let each = groups
            .into_iter()
            .map(|(partition, ids)| self.events(partition, ids));
        let mut events: Vec<_> = self.on_each(each.collect()).await?.concat();
        // Some may have come to life, or died, meanwhile.
        events.retain(|kept| kept.due_ms.is_none() == (state == EventState::Dead));
        events.sort_by(|a, b| {
            let place = |kept: &StoredEvent| (kept.queued_at_ms, kept.event.id.clone());
            place(a).cmp(&place(b))
        });
        Ok(Some(EventPage { events, cursor }))
    }

    pub async fn get_event(&self, id: &EventId) -> Result<Option<StoredEvent>> {
        let partition = keys::partition_of_event(id);
        let events = self.events(partition, vec![id.as_str().to_owned()]).await?;
        Ok(events.into_iter().next())
    }

    async fn events(&self, partition: Partition, ids: Vec<String>) -> Result<Vec<StoredEvent>> {
        let call = self.scripts.get_events.on(partition).arg(ids);
        let mut events = Vec::new();
        for item in call.run(&self.link).await?.items()? {
            let mut items = item.items()?;
            let claimed = match decode::parse_claimed(&mut items) {
                Ok((_, claimed)) => claimed,
                Err(error) => {
                    tracing::error!(exception.message = %error, partition, "a callback cannot be read");
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
        let Some(kept) = self.get_event(id).await? else {
            return Ok(false);
        };
        let partition = keys::partition_of_event(id);
        let attempts = json(
            "redis.replay",
            &history_after_replay(kept.attempts, SystemClock.now_ms()),
        )?;
        // Stored without the brackets, so that more can be put behind.
        let attempts = attempts.trim_start_matches('[').trim_end_matches(']');
        let call = self.scripts.replay.on(partition);
        let call = call.arg(id.as_str()).arg(attempts);
        let mut items = call.run(&self.link).await?.items()?;
        let (was_there, was_dead) = (items.number()? == 1, items.number()? == 1);
        if was_dead {
            self.pending.add(1);
        }
        if was_there {
            self.outlook.note(partition, 0);
            self.queue_changed.notify_one();
        }
        Ok(was_there)
    }
}

fn parse_cursor(cursor: &str) -> Option<Place> {
    let (at, id) = cursor.split_once('-')?;
    let known = id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    Some((at.parse().ok()?, id.to_owned())).filter(|_| known)
}
