//! Texts of the store become values.

use super::error;
use crate::error::{BackendError, ErrorKind, Result};
use crate::token_store::{Method, TokenId, TokenRecord};

pub fn record(json: &str) -> Result<TokenRecord> {
    from_json(json)
}

pub fn from_json<T: serde::de::DeserializeOwned>(json: &str) -> Result<T> {
    serde_json::from_str(json)
        .map_err(|e| BackendError::with_source(ErrorKind::Corrupt, "redis.decode", e))
}

/// Sixteen hex digits.
pub fn hex(text: &str) -> Result<u64> {
    u64::from_str_radix(text, 16)
        .map_err(|_| error::corrupt("redis.decode", format!("not a number: {text:?}")))
}

pub fn token_id(text: &str) -> Result<TokenId> {
    text.parse()
        .map_err(|_| error::corrupt("redis.decode", format!("not a token's id: {text:?}")))
}

pub fn method(text: &str) -> Result<Method> {
    [Method::Get, Method::Head, Method::Put]
        .into_iter()
        .find(|method| method.as_str() == text)
        .ok_or_else(|| error::corrupt("redis.decode", format!("not a method: {text:?}")))
}
