//! Converts entries of an archive to writes to the tree.

use crate::caller::ClientKey;
use crate::embedded::create_patch_delete::put_token;
use crate::embedded::keys;
use crate::embedded::kv::Batch;
use crate::embedded::values::{
    EventValue, LeaseValue, OpenValue, State, TokenValue, UploadValue, WindowValue, encode,
};
use crate::error::{BackendError, ErrorKind, Result};
use crate::transfer::{Entry, Token};

/// Owner of imported leases and open events: the id of no process, so that they count as left behind.
const NO_OWNER: u64 = 0;

/// The writes for some entries, as one batch.
pub fn batch(entries: impl Iterator<Item = Entry>) -> Result<Batch> {
    let mut batch = Batch::default();
    for entry in entries {
        put(entry, &mut batch)?;
    }
    Ok(batch)
}

fn put(entry: Entry, batch: &mut Batch) -> Result<()> {
    match entry {
        Entry::Token(token) => put_token_entry(token, batch)?,
        Entry::Finalising(finalising) => {
            let value = LeaseValue {
                until: 0,
                owner: NO_OWNER,
                charged: 0,
                intent: Some(finalising.intent),
                fencing_token: finalising.fencing_token,
            };
            let key = keys::lease(finalising.token_id, finalising.lease);
            batch.put(key, encode(&value)?);
        }
        Entry::Upload(parts) => {
            let value = UploadValue {
                upload: parts.upload,
                taken_until: 0,
                owner: NO_OWNER,
            };
            let key = keys::upload(parts.token_id, parts.lease);
            batch.put(key, encode(&value)?);
        }
        Entry::Download(event) => {
            let key = keys::open(&event.id);
            let value = OpenValue {
                owner: NO_OWNER,
                event,
            };
            batch.put(key, encode(&value)?);
        }
        Entry::Pending(pending) => {
            let id = pending.event.id.clone();
            batch.put(keys::due(pending.due_ms, &id), Vec::new());
            let value = EventValue {
                event: pending.event,
                attempts: pending.attempts,
                queued_at_ms: pending.queued_at_ms,
                due_ms: pending.due_ms,
            };
            batch.put(keys::event(&id), encode(&value)?);
        }
        Entry::Dead(dead) => {
            let key = keys::dead(&dead.event.id);
            let value = EventValue {
                due_ms: dead.queued_at_ms,
                event: dead.event,
                attempts: dead.attempts,
                queued_at_ms: dead.queued_at_ms,
            };
            batch.put(key, encode(&value)?);
        }
    }
    Ok(())
}

fn put_token_entry(token: Token, batch: &mut Batch) -> Result<()> {
    let id = token.id;
    for window in &token.windows {
        let mut client = ClientKey::default();
        hex::decode_to_slice(&window.client, &mut client)
            .map_err(|e| BackendError::with_source(ErrorKind::Corrupt, "embedded.load", e))?;
        let value = WindowValue {
            until: window.until_ms,
            ridden: false,
        };
        batch.put(keys::window(id, &client), encode(&value)?);
    }
    let state = State {
        used: token.used_hits,
        charged: token.charged_bytes,
        uploaded_at: token.uploaded_at,
    };
    if state != State::default() {
        batch.put(keys::state(id), encode(&state)?);
    }
    let value = TokenValue {
        incarnation: token.incarnation,
        record: token.record,
    };
    put_token(id, &value, batch)
}
