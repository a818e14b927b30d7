//! Reads all entries of the tree, kind by kind.

use tokio::sync::mpsc;

use crate::caller::ClientKey;
use crate::embedded::kv::Kv;
use crate::embedded::values::{
    EventValue, LeaseValue, OpenValue, State, TokenValue, UploadValue, WindowValue, decode,
};
use crate::embedded::{keys, values};
use crate::error::{BackendError, ErrorKind, Result};
use crate::token_store::TokenId;
use crate::transfer::{Dead, Entry, Finalising, Page, Pending, RecordedUpload, Token, Window};

/// Entries that are read at once.
const PAGE_ENTRIES: usize = 500;

/// Key and value of an entry of the tree.
type Raw = (Vec<u8>, Vec<u8>);

/// Sends all entries to `pages`, until the receiver is dropped.
pub fn dump<K: Kv>(kv: &K, pages: &mpsc::Sender<Page>) -> Result<()> {
    let mut to = Sink(Some(pages));
    to.send_all(kv, keys::TOKENS, |(key, value)| token(kv, &key, &value))?;
    to.send_all(kv, keys::LEASES, |(key, value)| finalising(&key, &value))?;
    to.send_all(kv, keys::UPLOADS, |(key, value)| {
        let (token_id, lease) = keys::parse_lease(&key).ok_or_else(corrupt)?;
        let UploadValue { upload, .. } = decode(&value)?;
        Ok(Some(Entry::Upload(RecordedUpload {
            token_id,
            lease,
            upload,
        })))
    })?;
    to.send_all(kv, keys::OPEN, |(_, value)| {
        Ok(Some(Entry::Download(decode::<OpenValue>(&value)?.event)))
    })?;
    to.send_all(kv, keys::EVENTS, |(_, value)| {
        let value: EventValue = decode(&value)?;
        Ok(Some(Entry::Pending(Pending {
            event: value.event,
            attempts: value.attempts,
            queued_at_ms: value.queued_at_ms,
            due_ms: value.due_ms,
        })))
    })?;
    to.send_all(kv, keys::DEAD, |(_, value)| {
        let value: EventValue = decode(&value)?;
        Ok(Some(Entry::Dead(Dead {
            event: value.event,
            attempts: value.attempts,
            queued_at_ms: value.queued_at_ms,
        })))
    })
}

/// The receiver of pages; `None` once it is dropped.
struct Sink<'a>(Option<&'a mpsc::Sender<Page>>);

impl Sink<'_> {
    /// Sends the result of `entry` for each entry below `prefix`.
    fn send_all<K: Kv>(
        &mut self,
        kv: &K,
        prefix: &[u8],
        entry: impl Fn(Raw) -> Result<Option<Entry>>,
    ) -> Result<()> {
        let mut after: Option<Vec<u8>> = None;
        while let Some(pages) = self.0 {
            let raw = page(kv, prefix, after.as_deref())?;
            let Some((last, _)) = raw.last() else { break };
            after = Some(last.clone());
            let mut entries = Vec::with_capacity(raw.len());
            for raw in raw {
                entries.extend(entry(raw)?);
            }
            if !entries.is_empty() && pages.blocking_send(entries).is_err() {
                self.0 = None;
            }
        }
        Ok(())
    }
}

fn page<K: Kv>(kv: &K, prefix: &[u8], after: Option<&[u8]>) -> Result<Vec<Raw>> {
    let mut raw = Vec::with_capacity(PAGE_ENTRIES);
    kv.scan(prefix, after, &mut |key, value| {
        raw.push((key.to_vec(), value.to_vec()));
        Ok(raw.len() < PAGE_ENTRIES)
    })?;
    Ok(raw)
}

fn token<K: Kv>(kv: &K, key: &[u8], value: &[u8]) -> Result<Option<Entry>> {
    let id = keys::trailing_id(key).ok_or_else(corrupt)?;
    let TokenValue {
        incarnation,
        record,
    } = decode(value)?;
    let state: State = values::read(kv, &keys::state(id))?.unwrap_or_default();
    let windows = match record.hit_window_seconds {
        Some(_) => windows(kv, id)?,
        None => Vec::new(),
    };
    Ok(Some(Entry::Token(Token {
        id,
        incarnation,
        record,
        used_hits: state.used,
        charged_bytes: state.charged,
        uploaded_at: state.uploaded_at,
        windows,
    })))
}

/// The open windows of a token. Marks of rides are left out: no request holds their hits any more.
fn windows<K: Kv>(kv: &K, id: TokenId) -> Result<Vec<Window>> {
    let prefix = keys::windows(id);
    let mut windows = Vec::new();
    kv.scan(&prefix, None, &mut |key, value| {
        let client = key.get(prefix.len()..).unwrap_or_default();
        if client.len() == size_of::<ClientKey>() {
            windows.push(Window {
                client: hex::encode(client),
                until_ms: decode::<WindowValue>(value)?.until,
            });
        }
        Ok(true)
    })?;
    Ok(windows)
}

/// A lease left finalising; any other lease ended with its process.
fn finalising(key: &[u8], value: &[u8]) -> Result<Option<Entry>> {
    let (token_id, lease) = keys::parse_lease(key).ok_or_else(corrupt)?;
    let LeaseValue {
        intent,
        fencing_token,
        ..
    } = decode(value)?;
    Ok(intent.map(|intent| {
        Entry::Finalising(Finalising {
            token_id,
            lease,
            fencing_token,
            intent,
        })
    }))
}

fn corrupt() -> BackendError {
    BackendError::new(ErrorKind::Corrupt, "embedded.dump")
}
