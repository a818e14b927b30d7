//! Strings of a reply become values.

use super::Items;
use crate::error::{BackendError, ErrorKind, Result};
use crate::event::ClaimedEvent;
use crate::redis::error;
use crate::token_store::{LeaseState, Method, TokenId, TokenRecord};

pub fn record(json: &str) -> Result<TokenRecord> {
    from_json(json)
}

pub fn from_json<T: serde::de::DeserializeOwned>(json: &str) -> Result<T> {
    serde_json::from_str(json)
        .map_err(|e| BackendError::with_source(ErrorKind::Corrupt, "redis.decode", e))
}

/// A number of 16 hex digits.
pub fn hex(text: &str) -> Result<u64> {
    u64::from_str_radix(text, 16)
        .map_err(|_| error::corrupt("redis.decode", format!("not a hex number: {text:?}")))
}

pub fn token_id(text: &str) -> Result<TokenId> {
    text.parse()
        .map_err(|_| error::corrupt("redis.decode", format!("not a token id: {text:?}")))
}

pub fn method(text: &str) -> Result<Method> {
    [Method::Get, Method::Head, Method::Put]
        .into_iter()
        .find(|method| method.as_str() == text)
        .ok_or_else(|| error::corrupt("redis.decode", format!("not a method: {text:?}")))
}

pub fn lease_state(text: &str) -> Result<LeaseState> {
    match text {
        "held" => Ok(LeaseState::Held),
        "lost" => Ok(LeaseState::Lost),
        other => Err(error::corrupt("redis.lease", other)),
    }
}

/// The next three items: id, event, attempts. The id is that of the entry, whatever the event says.
pub fn next_event(items: &mut Items) -> Result<(String, ClaimedEvent)> {
    let id = items.text()?;
    let value = items.text()?;
    Ok((id, event(&value, &items.text()?)?))
}

/// `value` is `queued_at_ms:JSON`, `attempts` is JSON with commas between, as they are stored.
pub fn event(value: &str, attempts: &str) -> Result<ClaimedEvent> {
    let (queued_at_ms, event) = value.split_once(':').unwrap_or(("0", value));
    Ok(ClaimedEvent {
        event: from_json(event)?,
        attempts: from_json(&format!("[{attempts}]"))?,
        queued_at_ms: queued_at_ms.parse().unwrap_or_default(),
    })
}
