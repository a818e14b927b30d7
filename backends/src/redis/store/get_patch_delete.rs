//! Reads, changes and deletes one token.

use crate::error::Result;
use crate::redis::scripts::{Items, decode};
use crate::redis::{Inner, error, json, keys, random_id};
use crate::token_store::{Patch, StoredToken, TokenId, TokenRecord};

/// How often a patch is repeated because the token has changed meanwhile.
const MAX_PATCH_TRIES: usize = 16;

impl Inner {
    /// The token, and the stored text of its record.
    async fn read(&self, id: TokenId) -> Result<Option<(String, StoredToken)>> {
        let call = self.scripts.get.on_token(id);
        let mut items = call.run(&self.connection).await?.items()?;
        if items.is_empty() {
            return Ok(None);
        }
        let json = items.text()?;
        let record = decode::record(&json)?;
        let stored = self.parse_stored(id, record, &mut items)?;
        Ok(Some((json, stored)))
    }

    /// A token from its `record` and the next items: incarnation, used hits, last upload.
    pub fn parse_stored(
        &self,
        id: TokenId,
        record: TokenRecord,
        items: &mut Items,
    ) -> Result<StoredToken> {
        let incarnation = decode::hex(&items.text()?)?;
        let buffered = self.usage.hits.lock().of(id, incarnation);
        Ok(StoredToken {
            id,
            incarnation,
            record,
            used_hits: items.number()?.saturating_add_signed(buffered),
            uploaded_at: items.optional()?,
        })
    }

    pub async fn get(&self, id: TokenId) -> Result<Option<StoredToken>> {
        Ok(self.read(id).await?.map(|(_, stored)| stored))
    }

    /// Reads the record, changes it, and writes it unless it has changed meanwhile.
    pub async fn patch(&self, id: TokenId, patch: Patch) -> Result<Option<StoredToken>> {
        for _ in 0..MAX_PATCH_TRIES {
            let Some((old, stored)) = self.read(id).await? else {
                return Ok(None);
            };
            let mut record = stored.record;
            patch.clone().apply_to(&mut record);
            let max_hits = record.max_hits.map(|max| max.to_string());
            let call = self.scripts.patch.on_token(id);
            let call = call.arg(old).arg(keys::hex(stored.incarnation));
            let call = call
                .arg(json("redis.patch", &record)?)
                .arg(record.expire_at);
            let call = call.arg(max_hits.unwrap_or_default());
            let call = call.arg(if record.callback.is_some() { "1" } else { "" });
            let mut items = call.run(&self.connection).await?.items()?;
            match items.text()?.as_str() {
                "done" => return Ok(Some(self.parse_stored(id, record, &mut items)?)),
                "none" => return Ok(None),
                _ => {}
            }
        }
        Err(error::unavailable(
            "redis.patch",
            "the token was changed during each try",
        ))
    }

    pub async fn delete(&self, id: TokenId) -> Result<bool> {
        self.delete_incarnation(id, None).await
    }

    /// Deletes the token, or only this incarnation of it.
    pub async fn delete_incarnation(&self, id: TokenId, incarnation: Option<u64>) -> Result<bool> {
        let call = self.scripts.delete.on_token(id);
        let call = call.arg(incarnation.map_or_else(String::new, keys::hex));
        let call = call.arg(keys::hex(random_id()?));
        Ok(call.run(&self.connection).await?.number()? == 1)
    }
}
