//! The layout of the tree. One letter tells what an entry is; numbers are big-endian, so that
//! entries stand in their order.
//!
//! | key | value |
//! |---|---|
//! | `t` id | token: incarnation and record |
//! | `s` id | spent hits, bytes sent, last upload; left out while all are zero |
//! | `l` id lease | a leased hit and what it has charged |
//! | `u` id lease | an upload in parts that storage has begun, until it is committed or aborted |
//! | `c` id lease | an upload that whoever took it over has counted, and until when that is told |
//! | `w` id client | until when a client rides on a counted hit |
//! | `w` id client end | somebody rode on it; kept for some minutes |
//! | `b` bucket 0 key 0 id | – |
//! | `g` tag 0 id | – |
//! | `x` expiry id | – |
//! | `o` event | an access whose end is not known yet |
//! | `e` event | an event that waits for delivery |
//! | `d` due event | – |
//! | `k` event | a dead letter |
//! | `p` | when it was last tried to write; nothing hangs on it |
//! | `i` | an import into this store that has not ended |

use crate::caller::ClientKey;
use crate::event::EventId;
use crate::token_store::TokenId;

pub const TOKENS: &[u8] = b"t";
pub const LEASES: &[u8] = b"l";
pub const UPLOADS: &[u8] = b"u";
pub const COUNTED: &[u8] = b"c";
pub const OBJECTS: &[u8] = b"b";
pub const TAGS: &[u8] = b"g";
pub const EXPIRIES: &[u8] = b"x";
pub const OPEN: &[u8] = b"o";
pub const EVENTS: &[u8] = b"e";
pub const DUE: &[u8] = b"d";
pub const DEAD: &[u8] = b"k";
pub const PROBE: &[u8] = b"p";
pub const IMPORT: &[u8] = b"i";

fn join(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}

pub fn token(id: TokenId) -> Vec<u8> {
    join(&[TOKENS, &id.0])
}

pub fn state(id: TokenId) -> Vec<u8> {
    join(&[b"s", &id.0])
}

pub fn leases(id: TokenId) -> Vec<u8> {
    join(&[LEASES, &id.0])
}

pub fn lease(id: TokenId, lease: u64) -> Vec<u8> {
    join(&[LEASES, &id.0, &lease.to_be_bytes()])
}

/// Outlives the lease, and the token.
pub fn upload(id: TokenId, lease: u64) -> Vec<u8> {
    join(&[UPLOADS, &id.0, &lease.to_be_bytes()])
}

pub fn counted(id: TokenId, lease: u64) -> Vec<u8> {
    join(&[COUNTED, &id.0, &lease.to_be_bytes()])
}

pub fn counted_of(id: TokenId) -> Vec<u8> {
    join(&[COUNTED, &id.0])
}

pub fn windows(id: TokenId) -> Vec<u8> {
    join(&[b"w", &id.0])
}

pub fn window(id: TokenId, client: &ClientKey) -> Vec<u8> {
    join(&[b"w", &id.0, client])
}

/// The client of a [`window`]; `None` for what says that somebody [rode](ridden) on it.
pub fn parse_window(key: &[u8]) -> Option<ClientKey> {
    key.get(17..)?.try_into().ok()
}

/// Says that somebody rode on the hit of this window.
pub fn ridden(id: TokenId, client: &ClientKey, until: u64) -> Vec<u8> {
    join(&[b"w", &id.0, client, &until.to_be_bytes()])
}

pub fn by_object(bucket: &str, key: &str, id: TokenId) -> Vec<u8> {
    join(&[
        OBJECTS,
        bucket.as_bytes(),
        &[0],
        key.as_bytes(),
        &[0],
        &id.0,
    ])
}

/// All entries of objects of `bucket` whose key begins with `prefix`.
pub fn by_object_prefix(bucket: &str, prefix: &str) -> Vec<u8> {
    join(&[OBJECTS, bucket.as_bytes(), &[0], prefix.as_bytes()])
}

pub fn by_tag(tag: &str, id: TokenId) -> Vec<u8> {
    join(&[TAGS, tag.as_bytes(), &[0], &id.0])
}

pub fn by_tag_prefix(tag: &str) -> Vec<u8> {
    join(&[TAGS, tag.as_bytes(), &[0]])
}

pub fn expiry(expire_at: u64, id: TokenId) -> Vec<u8> {
    join(&[EXPIRIES, &expire_at.to_be_bytes(), &id.0])
}

pub fn open(event: &EventId) -> Vec<u8> {
    join(&[OPEN, event.as_str().as_bytes()])
}

pub fn event(event: &EventId) -> Vec<u8> {
    join(&[EVENTS, event.as_str().as_bytes()])
}

pub fn due(due_ms: u64, event: &EventId) -> Vec<u8> {
    join(&[DUE, &due_ms.to_be_bytes(), event.as_str().as_bytes()])
}

pub fn dead(event: &EventId) -> Vec<u8> {
    join(&[DEAD, event.as_str().as_bytes()])
}

/// The id at the end of a token, index or expiry key.
pub fn trailing_id(key: &[u8]) -> Option<TokenId> {
    let start = key.len().checked_sub(16)?;
    Some(TokenId(key[start..].try_into().ok()?))
}

/// Token and lease of the key of a lease or an upload.
pub fn parse_lease(key: &[u8]) -> Option<(TokenId, u64)> {
    let id = TokenId(key.get(1..17)?.try_into().ok()?);
    let lease = u64::from_be_bytes(key.get(17..25)?.try_into().ok()?);
    Some((id, lease))
}

/// The number after the letter of an expiry or due key.
pub fn parse_number(key: &[u8]) -> Option<u64> {
    Some(u64::from_be_bytes(key.get(1..9)?.try_into().ok()?))
}

/// The event of its own key.
pub fn parse_event(key: &[u8]) -> Option<EventId> {
    let id = std::str::from_utf8(key.get(1..)?).ok()?;
    Some(EventId::from_string(id.to_owned()))
}

/// The event of a due key.
pub fn parse_due_event(key: &[u8]) -> Option<EventId> {
    let id = std::str::from_utf8(key.get(9..)?).ok()?;
    Some(EventId::from_string(id.to_owned()))
}
