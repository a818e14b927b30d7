//! Entries of an archive become calls of `load.lua`, each for one partition.

use std::collections::BTreeMap;

use futures_util::StreamExt;
use futures_util::stream;
use serde_json::Value;

use super::OfflineRedis;
use crate::error::Result;
use crate::event::{Attempt, Event};
use crate::redis::keys::{self, Partition};
use crate::redis::store::create::admission_fields;
use crate::redis::{FAN_OUT, error, json};
use crate::transfer::{Entry, Page, Token};

/// Entries that one script writes.
const LOADED_AT_ONCE: usize = 200;

/// The owner of downloads that an import brings: no node is called so, so that it is a dead one's.
const NOBODY: u64 = 0;

/// The kind of an entry, and its words.
type Words = (&'static str, Vec<String>);

impl OfflineRedis {
    pub(super) async fn load_page(&self, page: Page) -> Result<()> {
        let mut groups = BTreeMap::<Partition, Vec<Words>>::new();
        for entry in &page {
            let words = words(entry)?;
            groups.entry(partition_of(entry)).or_default().push(words);
        }
        let calls = groups
            .iter()
            .map(|(partition, group)| self.load_groups(*partition, group));
        let calls: Vec<_> = calls.collect();
        let done: Vec<Result<()>> = stream::iter(calls).buffered(FAN_OUT).collect().await;
        done.into_iter().collect()
    }

    /// In order: a token comes before what hangs on it.
    async fn load_groups(&self, partition: Partition, group: &[Words]) -> Result<()> {
        for group in group.chunks(LOADED_AT_ONCE) {
            self.load_group(partition, group).await?;
        }
        Ok(())
    }

    async fn load_group(&self, partition: Partition, group: &[Words]) -> Result<()> {
        let mut call = self.scripts.import.on(partition);
        for (kind, words) in group {
            call.push(*kind);
            call.push(words.len());
            call.push(words);
        }
        call.run(&self.link).await.map(drop)
    }
}

fn partition_of(entry: &Entry) -> Partition {
    match entry {
        Entry::Token(token) => keys::partition_of(token.id),
        Entry::Finalising(finalising) => keys::partition_of(finalising.token_id),
        Entry::Upload(parts) => keys::partition_of(parts.token_id),
        // It gets its id where it is queued, which is there.
        Entry::Download(event) => keys::partition_of(event.token_id),
        Entry::Pending(pending) => keys::partition_of_event(&pending.event.id),
        Entry::Dead(dead) => keys::partition_of_event(&dead.event.id),
    }
}

fn words(entry: &Entry) -> Result<Words> {
    Ok(match entry {
        Entry::Token(token) => ("token", token_words(token)?),
        Entry::Finalising(finalising) => (
            "finalising",
            vec![
                finalising.token_id.to_string(),
                keys::hex(finalising.lease),
                finalising.fencing_token.to_string(),
                json("redis.load", &finalising.intent)?,
            ],
        ),
        Entry::Upload(parts) => (
            "upload",
            vec![
                parts.token_id.to_string(),
                keys::hex(parts.lease),
                json("redis.load", &parts.upload)?,
            ],
        ),
        Entry::Download(event) => (
            "download",
            vec![
                keys::hex(NOBODY),
                event.id.as_str().to_owned(),
                tail(event)?,
            ],
        ),
        Entry::Pending(pending) => (
            "pending",
            event_words(
                &pending.event,
                &pending.attempts,
                pending.queued_at_ms,
                pending.due_ms,
            )?,
        ),
        Entry::Dead(dead) => (
            "dead",
            event_words(
                &dead.event,
                &dead.attempts,
                dead.queued_at_ms,
                dead.given_up_at_ms(),
            )?,
        ),
    })
}

fn token_words(token: &Token) -> Result<Vec<String>> {
    let mut words = vec![
        token.id.to_string(),
        token.record.expire_at.to_string(),
        token.windows.len().to_string(),
    ];
    for window in &token.windows {
        words.extend([window.client.clone(), window.until_ms.to_string()]);
    }
    let mut fields = vec![
        ("i", keys::hex(token.incarnation)),
        ("r", json("redis.load", &token.record)?),
    ];
    for (field, number) in [("u", token.used_hits), ("b", token.charged_bytes)] {
        fields.extend((number > 0).then(|| (field, number.to_string())));
    }
    fields.extend(token.uploaded_at.map(|at| ("a", at.to_string())));
    fields.extend(admission_fields(&token.record));
    words.extend(
        fields
            .into_iter()
            .flat_map(|(field, value)| [field.to_owned(), value]),
    );
    Ok(words)
}

fn event_words(
    event: &Event,
    attempts: &[Attempt],
    queued_at_ms: u64,
    at_ms: u64,
) -> Result<Vec<String>> {
    let attempts = json("redis.load", &attempts)?;
    Ok(vec![
        event.id.as_str().to_owned(),
        format!("{queued_at_ms}:{}", json("redis.load", event)?),
        // Stored without the brackets, so that more can be put behind.
        attempts
            .trim_start_matches('[')
            .trim_end_matches(']')
            .to_owned(),
        at_ms.to_string(),
    ])
}

/// An event but for its beginning, as an open entry has it: id and report come when it is queued.
fn tail(event: &Event) -> Result<String> {
    let corrupt = |error: serde_json::Error| error::corrupt("redis.load", error.to_string());
    let mut event = serde_json::to_value(event).map_err(corrupt)?;
    if let Value::Object(fields) = &mut event {
        fields.remove("id");
        fields.remove("report");
    }
    let text = json("redis.load", &event)?;
    Ok(text.trim_start_matches('{').to_owned())
}
