//! Write-behind buffer of the hits of unlimited tokens.

use std::collections::HashMap;

use super::kv::{Batch, Kv};
use super::{Inner, keys, values};
use crate::error::Result;
use crate::token_store::TokenId;

/// Unwritten hits of one stripe's tokens, inside the stripe's lock.
#[derive(Debug, Default)]
pub struct UsageBuffer(HashMap<TokenId, i64>);

impl UsageBuffer {
    pub fn add(&mut self, id: TokenId, hits: i64) {
        *self.0.entry(id).or_default() += hits;
    }

    pub fn of(&self, id: TokenId) -> i64 {
        self.0.get(&id).copied().unwrap_or_default()
    }

    /// Drops the hits of a token that was deleted or re-created.
    pub fn forget(&mut self, id: TokenId) {
        self.0.remove(&id);
    }
}

impl<K: Kv> Inner<K> {
    /// Writes all buffered hits, and returns whether there were any.
    pub fn flush_usage(&self) -> Result<bool> {
        let mut written = false;
        for stripe in &self.stripes {
            let mut usage = stripe.lock();
            let mut batch = Batch::default();
            for (&id, &hits) in usage.0.iter().filter(|(_, hits)| **hits != 0) {
                let mut state = self.state(id)?;
                state.used = state.used.saturating_add_signed(hits);
                batch.put(keys::state(id), values::encode(&state)?);
            }
            if !batch.is_empty() {
                self.kv.apply(batch)?;
                written = true;
            }
            usage.0.clear();
        }
        Ok(written)
    }
}
