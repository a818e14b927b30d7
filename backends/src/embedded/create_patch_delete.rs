//! The control plane's operations on tokens: create, get, patch, delete.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use super::kv::{Batch, Kv};
use super::values::TokenValue;
use super::{Inner, keys, random_id, remove_token, stripe_of, values};
use crate::error::Result;
use crate::token_store::{Created, Patch, StoredToken, TokenId, TokenRecord};

impl<K: Kv> Inner<K> {
    /// Creates all tokens or none.
    pub fn create(&self, tokens: &[(TokenId, TokenRecord)]) -> Result<Created> {
        let now = self.clock.now_seconds();
        // Each stripe once and in ascending order, so that two batches cannot deadlock.
        let stripes: BTreeSet<_> = tokens.iter().map(|(id, _)| stripe_of(*id)).collect();
        let mut held: BTreeMap<_, _> = stripes
            .into_iter()
            .map(|stripe| (stripe, self.stripes[stripe].lock()))
            .collect();

        let mut batch = Batch::default();
        let mut seen = HashSet::with_capacity(tokens.len());
        for (index, (id, record)) in tokens.iter().enumerate() {
            if !seen.insert(*id) {
                return Ok(Created::Exists { index });
            }
            if let Some(old) = values::read::<TokenValue>(&self.kv, &keys::token(*id))? {
                if !old.is_expired(now) {
                    return Ok(Created::Exists { index });
                }
                remove_token(&self.kv, *id, &old.record, &mut batch)?;
            }
            let token = TokenValue {
                incarnation: random_id()?,
                record: record.clone(),
            };
            put_token(*id, &token, &mut batch)?;
        }
        self.kv.apply(batch)?;
        for (id, _) in tokens {
            if let Some(usage) = held.get_mut(&stripe_of(*id)) {
                usage.forget(*id);
            }
        }
        Ok(Created::Done)
    }

    pub fn get(&self, id: TokenId) -> Result<Option<StoredToken>> {
        let usage = self.stripe(id);
        match self.token(id, self.clock.now_seconds())? {
            Some(token) => self.stored(id, token, usage.of(id)).map(Some),
            None => Ok(None),
        }
    }

    /// The token with its hits, `unwritten` ones included.
    pub fn stored(&self, id: TokenId, token: TokenValue, unwritten: i64) -> Result<StoredToken> {
        let state = self.state(id)?;
        Ok(StoredToken {
            id,
            incarnation: token.incarnation,
            record: token.record,
            used_hits: state.used.saturating_add_signed(unwritten),
            uploaded_at: state.uploaded_at,
        })
    }

    pub fn patch(&self, id: TokenId, patch: Patch) -> Result<Option<StoredToken>> {
        let usage = self.stripe(id);
        let Some(mut token) = self.token(id, self.clock.now_seconds())? else {
            return Ok(None);
        };
        let mut batch = Batch::default();
        if let Some(expire_at) = patch.expire_at {
            batch.remove(keys::expiry(token.record.expire_at, id));
            batch.put(keys::expiry(expire_at, id), Vec::new());
        }
        patch.apply_to(&mut token.record);
        batch.put(keys::token(id), values::encode(&token)?);
        self.kv.apply(batch)?;
        self.stored(id, token, usage.of(id)).map(Some)
    }

    pub fn delete(&self, id: TokenId) -> Result<bool> {
        let now = self.clock.now_seconds();
        let mut was_there = false;
        self.delete_if(id, |token, _| {
            was_there = !token.is_gone(now);
            Ok(true)
        })?;
        Ok(was_there)
    }

    /// Deletes the token, also one past its grace period, if `wanted` is true of it and its unwritten
    /// hits. The stripe stays locked in between, so the token cannot be re-created meanwhile.
    pub fn delete_if(
        &self,
        id: TokenId,
        wanted: impl FnOnce(&TokenValue, i64) -> Result<bool>,
    ) -> Result<bool> {
        let mut usage = self.stripe(id);
        let Some(token) = values::read::<TokenValue>(&self.kv, &keys::token(id))? else {
            return Ok(false);
        };
        if !wanted(&token, usage.of(id))? {
            return Ok(false);
        }
        let mut batch = Batch::default();
        remove_token(&self.kv, id, &token.record, &mut batch)?;
        self.kv.apply(batch)?;
        usage.forget(id);
        Ok(true)
    }
}

/// Adds a token and its index entries to `batch`.
pub fn put_token(id: TokenId, token: &TokenValue, batch: &mut Batch) -> Result<()> {
    let record = &token.record;
    batch.put(keys::token(id), values::encode(token)?);
    batch.put(keys::expiry(record.expire_at, id), Vec::new());
    batch.put(keys::by_object(&record.bucket, &record.key, id), Vec::new());
    for tag in &record.tags {
        batch.put(keys::by_tag(tag, id), Vec::new());
    }
    Ok(())
}
