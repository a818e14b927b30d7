//! Which tokens are meant, where many are.

use super::{Method, TokenRecord};

/// What a listing or a mass revocation is about. `Default` means all tokens.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    pub bucket: Option<String>,
    /// Beginning of the key; only with `bucket`.
    pub prefix: Option<String>,
    pub tag: Option<String>,
    pub method: Option<Method>,
    pub state: Option<TokenState>,
}

impl Filter {
    /// All that the record alone decides: everything but `state`.
    pub(crate) fn is_about(&self, record: &TokenRecord) -> bool {
        let is = |wanted: &Option<String>, value: &str| {
            wanted.as_deref().is_none_or(|wanted| wanted == value)
        };
        let prefix = self.prefix.as_deref();
        is(&self.bucket, &record.bucket)
            && prefix.is_none_or(|prefix| record.key.starts_with(prefix))
            && self
                .tag
                .as_ref()
                .is_none_or(|tag| record.tags.contains(tag))
            && self.method.is_none_or(|method| method == record.method)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenState {
    /// Neither expired nor used up.
    Active,
    Expired,
    /// Not expired, all hits spent.
    Exhausted,
}
