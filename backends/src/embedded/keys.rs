//! The layout of the tree. A key's first letter is the kind of its entry; numbers are big-endian, so
//! that keys sort by them.
//!
//! | key | value |
//! |---|---|
//! | `t` id | token: incarnation and record |
//! | `s` id | spent hits, charged bytes, last upload; absent while all are zero |
//! | `l` id lease | a leased hit and what it has charged |
//! | `u` id lease | a multipart upload in storage, until it is committed or aborted |
//! | `c` id lease | the settlement of an upload that was taken over and committed, for a day |
//! | `w` id client | until when a client rides on a counted hit |
//! | `w` id client end | the mark of a ride; kept for some minutes |
//! | `b` bucket 0 key 0 id | – |
//! | `g` tag 0 id | – |
//! | `x` expiry id | – |
//! | `o` event | an open event: a download in flight |
//! | `e` event | a pending event |
//! | `d` due event | – |
//! | `k` event | a dead letter |
//! | `p` | the time of the last ping; never read |
//! | `i` | the marker of an unfinished import |

use crate::caller::ClientKey;
use crate::event::EventId;
use crate::token_store::TokenId;

pub const TOKENS: &[u8] = b"t";
const STATE: &[u8] = b"s";
pub const LEASES: &[u8] = b"l";
pub const UPLOADS: &[u8] = b"u";
pub const COUNTED: &[u8] = b"c";
const WINDOWS: &[u8] = b"w";
const OBJECTS: &[u8] = b"b";
const TAGS: &[u8] = b"g";
pub const EXPIRIES: &[u8] = b"x";
pub const OPEN: &[u8] = b"o";
pub const EVENTS: &[u8] = b"e";
pub const DUE: &[u8] = b"d";
pub const DEAD: &[u8] = b"k";
pub const PROBE: &[u8] = b"p";
pub const IMPORT: &[u8] = b"i";

pub fn token(id: TokenId) -> Vec<u8> {
    [TOKENS, &id.0].concat()
}

pub fn state(id: TokenId) -> Vec<u8> {
    [STATE, &id.0].concat()
}

pub fn leases(id: TokenId) -> Vec<u8> {
    [LEASES, &id.0].concat()
}

pub fn lease(id: TokenId, lease: u64) -> Vec<u8> {
    [LEASES, &id.0, &lease.to_be_bytes()].concat()
}

/// Key of a multipart upload's record, which outlives lease and token.
pub fn upload(id: TokenId, lease: u64) -> Vec<u8> {
    [UPLOADS, &id.0, &lease.to_be_bytes()].concat()
}

pub fn counted(id: TokenId, lease: u64) -> Vec<u8> {
    [COUNTED, &id.0, &lease.to_be_bytes()].concat()
}

pub fn counted_of(id: TokenId) -> Vec<u8> {
    [COUNTED, &id.0].concat()
}

pub fn windows(id: TokenId) -> Vec<u8> {
    [WINDOWS, &id.0].concat()
}

pub fn window(id: TokenId, client: &ClientKey) -> Vec<u8> {
    [WINDOWS, &id.0, client].concat()
}

/// The client of a [`window`] key; `None` for the [mark](ridden) of a ride.
pub fn parse_window(key: &[u8]) -> Option<ClientKey> {
    key.get(17..)?.try_into().ok()
}

/// Key of the mark that a request has ridden on the hit of this window.
pub fn ridden(id: TokenId, client: &ClientKey, until: u64) -> Vec<u8> {
    [WINDOWS, &id.0, client, &until.to_be_bytes()].concat()
}

pub fn by_object(bucket: &str, key: &str, id: TokenId) -> Vec<u8> {
    [
        OBJECTS,
        bucket.as_bytes(),
        &[0],
        key.as_bytes(),
        &[0],
        &id.0,
    ]
    .concat()
}

/// Prefix of the index entries of tokens for `bucket` and keys that begin with `prefix`.
pub fn by_object_prefix(bucket: &str, prefix: &str) -> Vec<u8> {
    [OBJECTS, bucket.as_bytes(), &[0], prefix.as_bytes()].concat()
}

pub fn by_tag(tag: &str, id: TokenId) -> Vec<u8> {
    [TAGS, tag.as_bytes(), &[0], &id.0].concat()
}

pub fn by_tag_prefix(tag: &str) -> Vec<u8> {
    [TAGS, tag.as_bytes(), &[0]].concat()
}

pub fn expiry(expire_at: u64, id: TokenId) -> Vec<u8> {
    [EXPIRIES, &expire_at.to_be_bytes(), &id.0].concat()
}

pub fn open(event: &EventId) -> Vec<u8> {
    [OPEN, event.as_str().as_bytes()].concat()
}

pub fn event(event: &EventId) -> Vec<u8> {
    [EVENTS, event.as_str().as_bytes()].concat()
}

pub fn due(due_ms: u64, event: &EventId) -> Vec<u8> {
    [DUE, &due_ms.to_be_bytes(), event.as_str().as_bytes()].concat()
}

pub fn dead(event: &EventId) -> Vec<u8> {
    [DEAD, event.as_str().as_bytes()].concat()
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

/// The event of an event key.
pub fn parse_event(key: &[u8]) -> Option<EventId> {
    event_at(key, 1)
}

/// The event of a due key.
pub fn parse_due_event(key: &[u8]) -> Option<EventId> {
    event_at(key, 9)
}

fn event_at(key: &[u8], start: usize) -> Option<EventId> {
    let id = std::str::from_utf8(key.get(start..)?).ok()?;
    Some(EventId::from_string(id.to_owned()))
}
