//! Selects tokens for listings and mass revocation.

use super::{Method, TokenRecord};

/// A conjunction of conditions on tokens. `Default` selects all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Bucket alias.
    pub bucket: Option<String>,
    /// Beginning of the key; only with `bucket`.
    pub prefix: Option<String>,
    /// A tag of the token.
    pub tag: Option<String>,
    /// Method of the token.
    pub method: Option<Method>,
    /// State of the token.
    pub state: Option<TokenState>,
}

impl Filter {
    /// Whether `state` matches a token with these used hits at `now`, Unix seconds.
    pub(crate) fn matches_state(&self, record: &TokenRecord, used_hits: u64, now: u64) -> bool {
        let state = if now >= record.expire_at {
            TokenState::Expired
        } else if record.max_hits.is_some_and(|max| used_hits >= max) {
            TokenState::Exhausted
        } else {
            TokenState::Active
        };
        self.state.is_none_or(|wanted| wanted == state)
    }

    /// Whether the record matches all conditions but `state`.
    pub(crate) fn matches_record(&self, record: &TokenRecord) -> bool {
        let is = |wanted: &Option<String>, value: &str| {
            wanted.as_deref().is_none_or(|wanted| wanted == value)
        };
        let prefix = self.prefix.as_deref();
        let tag = self.tag.as_ref();
        is(&self.bucket, &record.bucket)
            && prefix.is_none_or(|prefix| record.key.starts_with(prefix))
            && tag.is_none_or(|tag| record.tags.contains(tag))
            && self.method.is_none_or(|method| method == record.method)
    }
}

/// State of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenState {
    /// Neither expired nor exhausted.
    Active,
    /// Expired, within the grace period.
    Expired,
    /// Not expired, all hits spent.
    Exhausted,
}
