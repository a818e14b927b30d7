//! Reads the partitions, kind by kind.

use tokio::sync::mpsc;

use super::OfflineRedis;
use crate::error::Result;
use crate::event::{Event, Report};
use crate::redis::keys::{self, Partition};
use crate::redis::scripts::Items;
use crate::redis::scripts::decode;
use crate::redis::{error, json};
use crate::transfer::{Dead, Entry, Finalising, Page, Pending, RecordedUpload, Token, Window};

/// Entries that one script reads: less than a second's answer, however large they are.
const PAGE: usize = 200;

type Read = fn(&mut Items) -> Result<Entry>;

/// Tokens first: what hangs on them is loaded after them.
const KINDS: [(&str, Read); 6] = [
    ("token", token),
    ("finalising", finalising),
    ("upload", upload),
    ("download", download),
    ("pending", pending),
    ("dead", dead),
];

impl OfflineRedis {
    /// Returns early where nobody receives.
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
        let call = call.arg(kind).arg(from).arg(PAGE);
        let mut items = call.run(&self.link).await?.items()?;
        let next = items.text()?;
        let rows = items.part()?.items()?;
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
        windows: windows(&mut row.part()?.items()?)?,
    }))
}

/// Marks of rides are left out: they keep hits from being given back that no request holds any more.
fn windows(row: &mut Items) -> Result<Vec<Window>> {
    let mut windows = Vec::new();
    while !row.is_empty() {
        let (client, until_ms) = (row.text()?, row.number()?);
        if !client.starts_with('r') {
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

/// Id and report are not stored with an open entry.
fn download(row: &mut Items) -> Result<Entry> {
    let (id, tail) = (row.text()?, row.text()?);
    let id = json("redis.dump", &id)?;
    let report = json("redis.dump", &Report::interrupted())?;
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

/// An event of either state; one that was given up is due at 0.
fn event(row: &mut Items) -> Result<Pending> {
    let id = row.text()?;
    let claimed = decode::claimed(&row.text()?, &row.text()?)?;
    if claimed.event.id.as_str() != id {
        return Err(error::corrupt("redis.dump", "an event under another's id"));
    }
    Ok(Pending {
        event: claimed.event,
        attempts: claimed.attempts,
        queued_at_ms: claimed.queued_at_ms,
        due_ms: row.number()?,
    })
}
