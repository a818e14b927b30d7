//! Writes entries of an archive: calls of `import.lua`, each for one partition.

use std::collections::BTreeMap;

use serde_json::Value;

use super::OfflineRedis;
use crate::error::Result;
use crate::event::{Attempt, Event};
use crate::redis::keys::{self, Partition};
use crate::redis::store::create::admission_fields;
use crate::redis::{all_of, error, json};
use crate::transfer::{Entry, Page, Token};

/// Entries that one script writes.
const ENTRIES_PER_CALL: usize = 200;

/// Imported downloads belong to this node. It does not exist, so that a sweep closes them as those of a dead node.
const NO_NODE: u64 = 0;

/// Kind and arguments of an entry.
type Arguments = (&'static str, Vec<String>);

impl OfflineRedis {
    pub(super) async fn load_page(&self, page: Page) -> Result<()> {
        let mut groups = BTreeMap::<Partition, Vec<Arguments>>::new();
        for entry in &page {
            let group = groups.entry(partition_of(entry)).or_default();
            group.push(arguments(entry)?);
        }
        let calls = groups
            .iter()
            .map(|(partition, group)| self.load_group(*partition, group));
        all_of(calls.collect()).await.map(drop)
    }

    /// In order: a token comes before the entries that belong to it.
    async fn load_group(&self, partition: Partition, group: &[Arguments]) -> Result<()> {
        for entries in group.chunks(ENTRIES_PER_CALL) {
            let mut call = self.scripts.import.on(partition);
            for (kind, arguments) in entries {
                call.push(*kind);
                call.push(arguments.len());
                call.push(arguments);
            }
            call.run(&self.connection).await?;
        }
        Ok(())
    }
}

fn partition_of(entry: &Entry) -> Partition {
    match entry {
        Entry::Token(token) => keys::partition_of(token.id),
        Entry::Finalising(finalising) => keys::partition_of(finalising.token_id),
        Entry::Upload(parts) => keys::partition_of(parts.token_id),
        // Its event gets a new id in this partition when it is queued.
        Entry::Download(event) => keys::partition_of(event.token_id),
        Entry::Pending(pending) => keys::partition_of_event(&pending.event.id),
        Entry::Dead(dead) => keys::partition_of_event(&dead.event.id),
    }
}

fn arguments(entry: &Entry) -> Result<Arguments> {
    Ok(match entry {
        Entry::Token(token) => ("token", token_arguments(token)?),
        Entry::Finalising(finalising) => (
            "finalising",
            vec![
                finalising.token_id.to_string(),
                keys::hex(finalising.lease),
                finalising.fencing_token.to_string(),
                json("redis.import", &finalising.intent)?,
            ],
        ),
        Entry::Upload(parts) => (
            "upload",
            vec![
                parts.token_id.to_string(),
                keys::hex(parts.lease),
                json("redis.import", &parts.upload)?,
            ],
        ),
        Entry::Download(event) => (
            "download",
            vec![
                keys::hex(NO_NODE),
                event.id.as_str().to_owned(),
                tail(event)?,
            ],
        ),
        Entry::Pending(pending) => (
            "pending",
            event_arguments(
                &pending.event,
                &pending.attempts,
                pending.queued_at_ms,
                pending.due_ms,
            )?,
        ),
        Entry::Dead(dead) => (
            "dead",
            event_arguments(
                &dead.event,
                &dead.attempts,
                dead.queued_at_ms,
                dead.given_up_at_ms(),
            )?,
        ),
    })
}

fn token_arguments(token: &Token) -> Result<Vec<String>> {
    let mut arguments = vec![
        token.id.to_string(),
        token.record.expire_at.to_string(),
        token.windows.len().to_string(),
    ];
    for window in &token.windows {
        arguments.extend([window.client.clone(), window.until_ms.to_string()]);
    }
    let mut fields = vec![
        (keys::INCARNATION, keys::hex(token.incarnation)),
        (keys::RECORD, json("redis.import", &token.record)?),
    ];
    for (field, number) in [
        (keys::USED_HITS, token.used_hits),
        (keys::CHARGED_BYTES, token.charged_bytes),
    ] {
        fields.extend((number > 0).then(|| (field, number.to_string())));
    }
    let uploaded_at = token.uploaded_at.map(|at| at.to_string());
    fields.extend(uploaded_at.map(|at| (keys::UPLOADED_AT, at)));
    fields.extend(admission_fields(&token.record));
    for (field, value) in fields {
        arguments.extend([field.to_owned(), value]);
    }
    Ok(arguments)
}

fn event_arguments(
    event: &Event,
    attempts: &[Attempt],
    queued_at_ms: u64,
    at_ms: u64,
) -> Result<Vec<String>> {
    let attempts = json("redis.import", &attempts)?;
    Ok(vec![
        event.id.as_str().to_owned(),
        format!("{queued_at_ms}:{}", json("redis.import", event)?),
        // Stored without brackets, so that scripts can append.
        attempts
            .trim_start_matches('[')
            .trim_end_matches(']')
            .to_owned(),
        at_ms.to_string(),
    ])
}

/// An open event: the JSON without id and report, which it gets when it is queued.
fn tail(event: &Event) -> Result<String> {
    let corrupt = |error: serde_json::Error| error::corrupt("redis.import", error.to_string());
    let mut event = serde_json::to_value(event).map_err(corrupt)?;
    if let Value::Object(fields) = &mut event {
        fields.remove("id");
        fields.remove("report");
    }
    let text = json("redis.import", &event)?;
    Ok(text.trim_start_matches('{').to_owned())
}
