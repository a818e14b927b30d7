//! Reads the partitions, one kind of entries after the other.

use tokio::sync::mpsc;

use super::OfflineRedis;
use crate::error::Result;
use crate::event::{Event, Report};
use crate::redis::keys::{self, Partition};
use crate::redis::scripts::Items;
use crate::redis::scripts::decode;
use crate::redis::{error, json};
use crate::transfer::{Dead, Entry, Finalising, Page, Pending, RecordedUpload, Token, Window};

/// Entries that one script reads: it takes less than a second, however large they are.
const ENTRIES_PER_CALL: usize = 200;

type Read = fn(&mut Items) -> Result<Entry>;

/// Tokens first: an import writes other entries after the token that they belong to.
const KINDS: [(&str, Read); 6] = [
    ("token", token),
    ("finalising", finalising),
    ("upload", upload),
    ("download", download),
    ("pending", pending),
    ("dead", dead),
];

impl OfflineRedis {
    /// Returns early where the receiver is gone.
    pub(super) async fn dump_to(&self, pages: &mpsc::Sender<Page>) -> Result<()> {
        for (kind, read) in KINDS {
            for partition in keys::all_partitions() {
                let mut from = String::new();
                loop {
                    let (next, page) = self.page(partition, kind, &from, read).await?;
                    if !page.is_empty() && pages.send(page).await.is_err() {
                        return Ok(());
                    }
                    if next.is_empty() {
                        break;
                    }
                    from = next;
                }
            }
        }
        Ok(())
    }

    async fn page(
        &self,
        partition: Partition,
        kind: &str,
        from: &str,
        read: Read,
    ) -> Result<(String, Page)> {
        let call = self.scripts.export.on(partition);
        let call = call.arg(kind).arg(from).arg(ENTRIES_PER_CALL);
        let mut items = call.run(&self.connection).await?.items()?;
        let next = items.text()?;
        let rows = items.item()?.items()?;
        let page: Result<Page> = rows.map(|row| read(&mut row.items()?)).collect();
        Ok((next, page?))
    }
}

fn token(row: &mut Items) -> Result<Entry> {
    Ok(Entry::Token(Token {
        id: decode::token_id(&row.text()?)?,
        record: decode::record(&row.text()?)?,
        incarnation: decode::hex(&row.text()?)?,
        used_hits: row.number()?,
        charged_bytes: row.number()?,
        uploaded_at: row.optional()?,
        windows: windows(&mut row.item()?.items()?)?,
    }))
}

/// Without rides: they keep hits from being released, and after an import no request holds these hits.
fn windows(row: &mut Items) -> Result<Vec<Window>> {
    let mut windows = Vec::new();
    while !row.is_empty() {
        let (client, until_ms) = (row.text()?, row.number()?);
        if !client.starts_with(keys::RIDE_OF) {
            windows.push(Window { client, until_ms });
        }
    }
    windows.sort_unstable();
    Ok(windows)
}

fn finalising(row: &mut Items) -> Result<Entry> {
    Ok(Entry::Finalising(Finalising {
        token_id: decode::token_id(&row.text()?)?,
        lease: decode::hex(&row.text()?)?,
        fencing_token: u32::try_from(row.number()?).unwrap_or(u32::MAX),
        intent: decode::from_json(&row.text()?)?,
    }))
}

fn upload(row: &mut Items) -> Result<Entry> {
    Ok(Entry::Upload(RecordedUpload {
        token_id: decode::token_id(&row.text()?)?,
        lease: decode::hex(&row.text()?)?,
        upload: decode::from_json(&row.text()?)?,
    }))
}

/// Id and report are not stored with an open event.
fn download(row: &mut Items) -> Result<Entry> {
    let (id, tail) = (row.text()?, row.text()?);
    let id = json("redis.export", &id)?;
    let report = json("redis.export", &Report::interrupted())?;
    let event = format!(r#"{{"id":{id},"report":{report},{tail}"#);
    Ok(Entry::Download(decode::from_json::<Event>(&event)?))
}

fn pending(row: &mut Items) -> Result<Entry> {
    event(row).map(Entry::Pending)
}

fn dead(row: &mut Items) -> Result<Entry> {
    let Pending {
        event,
        attempts,
        queued_at_ms,
        ..
    } = event(row)?;
    Ok(Entry::Dead(Dead {
        event,
        attempts,
        queued_at_ms,
    }))
}

/// An event of either state. A dead letter is due at 0.
fn event(row: &mut Items) -> Result<Pending> {
    let id = row.text()?;
    let claimed = decode::event(&row.text()?, &row.text()?)?;
    if claimed.event.id.as_str() != id {
        return Err(error::corrupt(
            "redis.export",
            "an event is stored under the id of another one",
        ));
    }
    Ok(Pending {
        event: claimed.event,
        attempts: claimed.attempts,
        queued_at_ms: claimed.queued_at_ms,
        due_ms: row.number()?,
    })
}
