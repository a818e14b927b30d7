//! Listings and mass revocation, over the narrowest index for their filter.

use super::kv::Kv;
use super::values::TokenValue;
use super::{Inner, keys};
use crate::error::Result;
use crate::token_store::{Filter, Page, TokenId};

/// Index entries that one page scans; a page that reaches the limit ends early, with a cursor.
const MAX_PAGE_SCAN: usize = 10_000;
/// Index entries that are read at once, at least.
const MIN_SCAN_CHUNK: usize = 100;

impl<K: Kv> Inner<K> {
    /// A page of tokens.
    pub fn list(
        &self,
        filter: &Filter,
        limit: usize,
        cursor: Option<&str>,
    ) -> Result<Option<Page>> {
        let prefix = index_of(filter);
        let mut after = match cursor.map(hex::decode) {
            None => None,
            Some(Ok(key)) if key.starts_with(&prefix) => Some(key),
            Some(_) => return Ok(None),
        };
        let now = self.clock.now_seconds();
        let mut tokens = Vec::new();
        let mut scanned = 0;
        while scanned < MAX_PAGE_SCAN {
            let chunk = limit.clamp(MIN_SCAN_CHUNK, MAX_PAGE_SCAN);
            let (entries, last) = self.index_page(&prefix, after.as_deref(), chunk)?;
            scanned += entries.len();
            for (key, id) in entries {
                let usage = self.stripe(id);
                if let Some(token) = self.token(id, now)?
                    && self.matches(id, &token, usage.of(id), filter, now)?
                {
                    tokens.push(self.stored(id, token, usage.of(id))?);
                }
                if tokens.len() >= limit {
                    let cursor = Some(hex::encode(key));
                    return Ok(Some(Page { tokens, cursor }));
                }
            }
            after = last;
            if after.is_none() {
                break;
            }
        }
        let cursor = after.map(hex::encode);
        Ok(Some(Page { tokens, cursor }))
    }

    /// Deletes all tokens that match, and returns how many.
    pub fn delete_matching(&self, filter: &Filter) -> Result<u64> {
        let prefix = index_of(filter);
        let now = self.clock.now_seconds();
        let mut after = None;
        let mut deleted = 0;
        loop {
            let (entries, last) = self.index_page(&prefix, after.as_deref(), MAX_PAGE_SCAN)?;
            for (_, id) in entries {
                let matches = |token: &TokenValue, unwritten| {
                    Ok(!token.is_gone(now) && self.matches(id, token, unwritten, filter, now)?)
                };
                if self.delete_if(id, matches)? {
                    deleted += 1;
                }
            }
            match last {
                Some(last) => after = Some(last),
                None => return Ok(deleted),
            }
        }
    }

    /// Up to `most` entries of an index with their ids, and the last key if there may be more.
    #[allow(clippy::type_complexity)]
    fn index_page(
        &self,
        prefix: &[u8],
        after: Option<&[u8]>,
        most: usize,
    ) -> Result<(Vec<(Vec<u8>, TokenId)>, Option<Vec<u8>>)> {
        let mut entries = Vec::new();
        self.kv.scan(prefix, after, &mut |key, _| {
            entries.extend(keys::trailing_id(key).map(|id| (key.to_vec(), id)));
            Ok(entries.len() < most)
        })?;
        let last = entries.last().filter(|_| entries.len() == most);
        let last = last.map(|(key, _)| key.clone());
        Ok((entries, last))
    }

    /// Whether the filter selects the token. The caller holds the token's stripe; `unwritten` are its
    /// unwritten hits.
    fn matches(
        &self,
        id: TokenId,
        token: &TokenValue,
        unwritten: i64,
        filter: &Filter,
        now: u64,
    ) -> Result<bool> {
        if !filter.matches_record(&token.record) {
            return Ok(false);
        }
        if filter.state.is_none() {
            return Ok(true);
        }
        let used = self.state(id)?.used.saturating_add_signed(unwritten);
        Ok(filter.matches_state(&token.record, used, now))
    }
}

/// The narrowest index for a filter.
fn index_of(filter: &Filter) -> Vec<u8> {
    match (&filter.tag, &filter.bucket) {
        (Some(tag), _) => keys::by_tag_prefix(tag),
        (None, Some(bucket)) => {
            keys::by_object_prefix(bucket, filter.prefix.as_deref().unwrap_or_default())
        }
        (None, None) => keys::TOKENS.to_vec(),
    }
}
