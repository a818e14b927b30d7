//! The control plane's operations on single tokens that are there.

use crate::error::Result;
use crate::redis::scripts::Items;
use crate::redis::scripts::decode;
use crate::redis::{Inner, error, fresh_id, json, keys};
use crate::token_store::{Patch, StoredToken, TokenId, TokenRecord};

/// How often a change is made again because somebody else has changed the token meanwhile.
const PATCH_TRIES: usize = 16;

impl Inner {
    /// The token, and its record as it is stored.
    async fn read(&self, id: TokenId) -> Result<Option<(String, StoredToken)>> {
        let call = self.scripts.get.on(keys::partition_of(id));
        let mut items = call.arg(id.to_string()).run(&self.link).await?.items()?;
        if items.is_empty() {
            return Ok(None);
        }
        let json = items.text()?;
        let record = decode::record(&json)?;
        let stored = self.stored(id, record, &mut items)?;
        Ok(Some((json, stored)))
    }

    /// Reads incarnation, spent hits and last upload.
    pub fn stored(
        &self,
        id: TokenId,
        record: TokenRecord,
        items: &mut Items,
    ) -> Result<StoredToken> {
        let incarnation = decode::hex(&items.text()?)?;
        let unwritten = self.usage.lock().of(id, incarnation);
        Ok(StoredToken {
            id,
            incarnation,
            record,
            used_hits: items.number()?.saturating_add_signed(unwritten),
            uploaded_at: items.optional()?,
        })
    }

    pub async fn get(&self, id: TokenId) -> Result<Option<StoredToken>> {
        Ok(self.read(id).await?.map(|(_, stored)| stored))
    }

    /// Reads, changes, and writes where it is still what was read.
    pub async fn patch(&self, id: TokenId, patch: &Patch) -> Result<Option<StoredToken>> {
        for _ in 0..PATCH_TRIES {
            let Some((old, stored)) = self.read(id).await? else {
                return Ok(None);
            };
            let StoredToken {
                incarnation,
                mut record,
                ..
            } = stored;
            change(&mut record, patch);
            let script = &self.scripts.patch;
            let call = script
                .on(keys::partition_of(id))
                .arg(id.to_string())
                .arg(old)
                .arg(keys::hex(incarnation))
                .arg(json("redis.patch", &record)?)
                .arg(record.expire_at)
                .arg(
                    record
                        .max_hits
                        .map_or_else(String::new, |max| max.to_string()),
                )
                .arg(if record.callback.is_some() { "1" } else { "" });
            let mut items = call.run(&self.link).await?.items()?;
            match items.text()?.as_str() {
                "done" => return Ok(Some(self.stored(id, record, &mut items)?)),
                "none" => return Ok(None),
                _ => {}
            }
        }
        Err(error::away(
            "redis.patch",
            "others change the token all the time",
        ))
    }

    /// Deletes the token, or only that life of it.
    pub async fn delete(&self, id: TokenId, incarnation: Option<u64>) -> Result<bool> {
        let script = &self.scripts.delete;
        let call = script
            .on(keys::partition_of(id))
            .arg(id.to_string())
            .arg(incarnation.map_or_else(String::new, keys::hex))
            .arg(keys::hex(fresh_id()?));
        Ok(call.run(&self.link).await?.number()? == 1)
    }
}

fn change(record: &mut TokenRecord, patch: &Patch) {
    let Patch {
        expire_at,
        max_hits,
        callback,
        metadata,
    } = patch;
    if let Some(expire_at) = expire_at {
        record.expire_at = *expire_at;
    }
    if let Some(max_hits) = max_hits {
        record.max_hits = *max_hits;
    }
    if let Some(callback) = callback {
        record.callback.clone_from(callback);
    }
    if let Some(metadata) = metadata {
        record.metadata.clone_from(metadata);
    }
}
