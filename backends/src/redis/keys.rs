//! The layout. 256 partitions, by the first byte of a token's id; `ag:{3f}:` begins every key of
//! one of them, and the braces put them into one slot of a cluster.
//!
//! | key | | |
//! |---|---|---|
//! | `t:` id | hash | `r` record, `i` incarnation, `u` spent hits, `b` bytes sent under a budget, `a` last upload; what admission looks at: `x` expiry, `m` method, `n` max hits, `z` size, `w` window, `k` rules, `c` hit on complete, `cb` callback |
//! | `l:` id | hash | lease → deadline `:` fencing token; `i` lease → intent; `c` lease → bytes charged |
//! | `u`, `parts` | hash, ZSET | id `:` lease → an upload in parts; when to look whether it was abandoned |
//! | `w:` id | ZSET | client → end of its window; `r` client `:` end where somebody rode on it |
//! | `s:` id `:` lease | string | an upload that was counted; for five minutes, for a day where it was taken over |
//! | `q:` call | string | a call that must not count twice; for a minute |
//! | `f:` owner | string | the number of the last batch of hits without a limit that a node has written; for a day |
//! | `a`, `b`, `g` | ZSETs | ids; bucket 0 key 0 id; tag 0 id |
//! | `x`, `leases` | ZSETs | id → expiry; id `:` lease → deadline |
//! | `o:` owner, `owners` | hash, set | open entries of a node: event → what is known of it |
//! | `e`, `n`, `at` | hashes | event → value, attempts, due time |
//! | `due`, `held`, `age`, `dead`, `buried` | ZSETs | event → due time; end of its claim; when it was queued, twice; when it was given up |
//! | `k` | hash | event → value of a dead letter |
//! | `probe` | string | somebody could write here within the last minute |
//!
//! `owner:` owner, a node's sign of life, is in the partition that the owner's name begins with. In the
//! first partition are also `nodes`, a ZSET: node → until when it counts as one that uses the store;
//! and `import`, the marker of an import that has not ended.

use crate::event::EventId;
use crate::token_store::TokenId;

/// A part of the store that one script can touch.
pub type Partition = u8;

pub fn partition_of(id: TokenId) -> Partition {
    id.0[0]
}

pub fn all_partitions() -> impl Iterator<Item = Partition> {
    Partition::MIN..=Partition::MAX
}

/// What stands in the braces of a partition's keys.
pub fn tag(partition: Partition) -> String {
    format!("{partition:02x}")
}

/// What every key of a partition begins with.
pub fn prefix(partition: Partition) -> String {
    format!("ag:{{{}}}:", tag(partition))
}

/// A node's sign of life, and where it is.
pub fn owner(owner: &str) -> (Partition, String) {
    let begin = owner.get(..2).unwrap_or_default();
    let partition = Partition::from_str_radix(begin, 16).unwrap_or_default();
    (partition, format!("{}owner:{owner}", prefix(partition)))
}

/// Where nodes note that they use the store: when that is over, by node, in the ZSET `nodes`.
pub const NODES: Partition = 0;

/// The marker of an import that has not ended, and where it is.
pub fn import() -> (Partition, String) {
    let partition = 0;
    (partition, format!("{}import", prefix(partition)))
}

/// A new event's id. Its end names the partition, so that the event is found by its id alone.
pub fn event_in(partition: Partition) -> EventId {
    let mut id = EventId::generate().as_str().to_owned();
    id.truncate(id.len().saturating_sub(2));
    EventId::from_string(format!("{id}{partition:02x}"))
}

/// Where an event is, whoever made its id.
pub fn partition_of_event(id: &EventId) -> Partition {
    let id = id.as_str();
    let end = id.get(id.len().saturating_sub(2)..).unwrap_or_default();
    Partition::from_str_radix(end, 16)
        .unwrap_or_else(|_| id.bytes().next_back().unwrap_or_default())
}

/// Incarnations, leases and calls as they stand in keys: 16 hex digits.
pub fn hex(number: u64) -> String {
    format!("{number:016x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_says_where_it_is() {
        for partition in all_partitions() {
            let id = event_in(partition);
            assert_eq!(partition_of_event(&id), partition);
            assert_eq!(id.as_str().len(), EventId::generate().as_str().len());
        }
        for odd in ["", "x", "nonsense", "ÄÖ"] {
            partition_of_event(&EventId::from_string(odd.into()));
        }
        assert_eq!(prefix(0x3f), "ag:{3f}:");
    }
}
