//! The layout: which keys Redis holds, and in which partition.
//!
//! There are 256 partitions, by the first byte of a token's id. `ag:{3f}:` begins every key of one of them, and the
//! braces put all of them into one slot of a cluster. Rust and Lua take names and time limits from here: the text of
//! each script gets their values (see [`scripts`](super::scripts)). Names are stored; they never change.

use crate::caller::CLIENT_KEY_ADDRESS_BYTES;
use crate::event::EventId;
use crate::token_store::{self, TokenId};

/// Declares constants, and lists them for scripts as Lua literals.
macro_rules! constants {
    ($($name:ident: $type:ty = $value:expr, $doc:literal;)+) => {
        $(#[doc = $doc] pub const $name: $type = $value;)+

        pub fn lua_constants() -> Vec<(&'static str, String)> {
            // A JSON string or number is a Lua literal, too.
            vec![$((stringify!($name), serde_json::json!($name).to_string())),+]
        }
    };
}

#[rustfmt::skip]
constants! {
    TOKEN: &str = "t:", "+ id: hash of a token, with the fields below.";
    RECORD: &str = "r", "Field: the record as JSON.";
    INCARNATION: &str = "i", "Field: tells a token from a later one with the same id.";
    USED_HITS: &str = "u", "Field.";
    CHARGED_BYTES: &str = "b", "Field: bytes sent under a budget.";
    UPLOADED_AT: &str = "a", "Field: last upload (Unix seconds).";
    EXPIRE_AT: &str = "x", "Field, and those below: what `reserve` decides by, copied from the record.";
    METHOD: &str = "m", "Field.";
    MAX_HITS: &str = "n", "Field.";
    MAX_SIZE: &str = "z", "Field.";
    HIT_WINDOW: &str = "w", "Field: seconds.";
    HAS_RULES: &str = "k", "Field: `1`, or left out.";
    HIT_ON_COMPLETE: &str = "c", "Field: `1`, or left out.";
    HAS_CALLBACK: &str = "cb", "Field: `1`, or left out.";

    LEASES_OF: &str = "l:", "+ id: hash of a token's leases: lease → deadline `:` fencing token.";
    INTENT_OF: &str = "i", "+ lease, in the same hash: intent of an upload that is finalising.";
    CHARGED_BY: &str = "c", "+ lease, in the same hash: bytes charged.";
    WINDOWS_OF: &str = "w:", "+ id: ZSET of a token's hit windows: client → end.";
    RIDE_OF: &str = "r", "+ client `:` end, in the same ZSET: a request rode on the hit of this window.";
    SETTLEMENT_OF: &str = "s:", "+ id `:` lease: string, `counted` where an upload was committed.";
    CALL_ID: &str = "q:", "+ call id: string, written by a script that must not count twice.";
    USAGE_BATCH_OF: &str = "f:", "+ node: string, number of the last batch of hits that the node has written.";
    UPLOADS: &str = "u", "Hash: id `:` lease → multipart upload.";
    UPLOADS_BY_LOOK: &str = "parts", "ZSET: id `:` lease → when to look whether the upload is abandoned.";

    TOKENS: &str = "a", "ZSET: ids.";
    TOKENS_BY_OBJECT: &str = "b", "ZSET: bucket 0 key 0 id.";
    TOKENS_BY_TAG: &str = "g", "ZSET: tag 0 id.";
    TOKENS_BY_EXPIRY: &str = "x", "ZSET: id → expiry.";
    LEASES_BY_DEADLINE: &str = "leases", "ZSET: id `:` lease → deadline.";

    OPEN_EVENTS_OF: &str = "o:", "+ node: hash of events of downloads in flight: event → JSON without id and report.";
    NODES_WITH_OPEN_EVENTS: &str = "owners", "Set: nodes.";
    EVENTS: &str = "e", "Hash of pending events: event → queued at `:` JSON.";
    EVENT_ATTEMPTS: &str = "n", "Hash of pending events and dead letters: event → attempts, JSON with commas between.";
    EVENT_DUE_AT: &str = "at", "Hash: event → due time, also while it is claimed.";
    EVENTS_BY_DUE_TIME: &str = "due", "ZSET of events that nobody has claimed: event → due time.";
    EVENTS_BY_CLAIM_END: &str = "held", "ZSET of claimed events: event → end of the claim.";
    EVENTS_BY_AGE: &str = "age", "ZSET of pending events: event → when it was queued.";
    DEAD_LETTERS: &str = "k", "Hash: event → as in `e`.";
    DEAD_LETTERS_BY_AGE: &str = "dead", "ZSET: event → when it was queued.";
    DEAD_LETTERS_BY_DEATH: &str = "buried", "ZSET: event → when it was given up.";

    HEARTBEAT_OF: &str = "owner:", "+ node: string with a TTL, in the partition that the node's id begins with.";
    NODES: &str = "nodes", "ZSET in the first partition: node → until when it counts as one that uses the store.";
    IMPORT_MARKER: &str = "import", "String in the first partition: an import that has not ended.";
    PROBE: &str = "probe", "String: written to see whether Redis takes writes.";
    NO_KEY: &str = "none", "Never written.";

    TOKEN_ID_LENGTH: usize = 32, "Hex digits.";
    LEASE_LENGTH: usize = 16, "Hex digits of a lease; also of an incarnation and a call id.";
    CLIENT_LENGTH: usize = 32, "Hex digits.";
    CLIENT_ADDRESS_LENGTH: usize = 2 * CLIENT_KEY_ADDRESS_BYTES, "Hex digits, those that a client begins with.";
    MAX_WINDOWS_PER_TOKEN: usize = token_store::MAX_WINDOWS_PER_TOKEN, "Of a token.";
    MAX_WINDOWS_PER_ADDRESS: usize = token_store::MAX_WINDOWS_PER_ADDRESS, "Of a token, for clients with one address.";
    MAX_RIDDEN_WINDOWS: usize = token_store::MAX_RIDDEN_WINDOWS, "Of a token.";
    EXPIRED_TOKEN_KEPT_SECONDS: u64 = token_store::GRACE_SECONDS, "Then the sweep deletes the token.";
    CALL_ID_TTL_MS: u64 = 60_000, "How long a script's second run with one call id counts nothing.";
    RIDE_TTL_MS: u64 = 300_000, "After the window's end: longer than an access takes to begin.";
    SETTLEMENT_TTL_MS: u64 = 300_000, "For a node that missed the reply to its commit.";
    RECOVERED_SETTLEMENT_TTL_MS: u64 = 86_400_000, "For a node whose upload was recovered by another one.";
    USAGE_BATCH_TTL_MS: u64 = 86_400_000, "Only after this may a batch be counted twice.";
}

/// One of the 256 parts of the store. A script touches only one.
pub type Partition = u8;

/// Partition of [`NODES`] and [`IMPORT_MARKER`].
pub const FIRST_PARTITION: Partition = 0;

pub fn partition_of(id: TokenId) -> Partition {
    id.0[0]
}

pub fn all_partitions() -> impl Iterator<Item = Partition> {
    Partition::MIN..=Partition::MAX
}

/// The hash tag of a partition's keys: what stands in the braces.
pub fn hash_tag(partition: Partition) -> String {
    format!("{partition:02x}")
}

/// What every key of a partition begins with.
pub fn prefix(partition: Partition) -> String {
    format!("ag:{{{}}}:", hash_tag(partition))
}

/// A key outside of scripts.
pub fn key(partition: Partition, name: &str) -> String {
    prefix(partition) + name
}

/// A node's heartbeat, and its partition.
pub fn heartbeat(node: &str) -> (Partition, String) {
    let first_byte = node.get(..2).unwrap_or_default();
    let partition = Partition::from_str_radix(first_byte, 16).unwrap_or_default();
    (partition, key(partition, HEARTBEAT_OF) + node)
}

/// A new event id. Its last byte names the partition, so that the id alone finds the event.
pub fn new_event_id(partition: Partition) -> EventId {
    let mut id = EventId::generate().as_str().to_owned();
    id.truncate(id.len().saturating_sub(2));
    EventId::from_string(format!("{id}{partition:02x}"))
}

/// The partition of an event. Ids that this store did not make have one, too.
pub fn partition_of_event(id: &EventId) -> Partition {
    let id = id.as_str();
    let last_byte = id.get(id.len().saturating_sub(2)..).unwrap_or_default();
    Partition::from_str_radix(last_byte, 16)
        .unwrap_or_else(|_| id.bytes().next_back().unwrap_or_default())
}

/// Incarnations, leases and call ids as they are stored: 16 hex digits.
pub fn hex(number: u64) -> String {
    format!("{number:016x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_id_names_its_partition() {
        for partition in all_partitions() {
            let id = new_event_id(partition);
            assert_eq!(partition_of_event(&id), partition);
            assert_eq!(id.as_str().len(), EventId::generate().as_str().len());
        }
        for foreign in ["", "x", "nonsense", "ÄÖ"] {
            partition_of_event(&EventId::from_string(foreign.into()));
        }
        assert_eq!(prefix(0x3f), "ag:{3f}:");
    }
}
