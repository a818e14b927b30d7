//! Which master of a cluster serves which partition (`CLUSTER SLOTS`).

use crc::{CRC_16_XMODEM, Crc};
use redis::Value;

use crate::redis::keys::{self, Partition};

/// Redis Cluster specification: CRC16 of the hash tag, modulo 16384.
fn slot_of(partition: Partition) -> u16 {
    const CRC: Crc<u16> = Crc::<u16>::new(&CRC_16_XMODEM);
    CRC.checksum(keys::hash_tag(partition).as_bytes()) % 16_384
}

/// Address of the master of each partition that has one, from the reply to `CLUSTER SLOTS`.
/// A node that does not know its own host is on the `host` that replied.
pub fn masters(reply: &Value, host: &str) -> Vec<Option<String>> {
    let Value::Array(ranges) = reply else {
        return vec![None; keys::all_partitions().count()];
    };
    let ranges: Vec<_> = ranges
        .iter()
        .filter_map(|range| parse_range(range, host))
        .collect();
    let master = |partition| {
        let slot = slot_of(partition);
        let range = ranges
            .iter()
            .find(|(first, last, _)| (*first..=*last).contains(&slot));
        range.map(|(_, _, address)| address.clone())
    };
    keys::all_partitions().map(master).collect()
}

/// First slot, last slot, address of the master.
fn parse_range(range: &Value, replied: &str) -> Option<(u16, u16, String)> {
    let Value::Array(range) = range else {
        return None;
    };
    let [
        Value::Int(first),
        Value::Int(last),
        Value::Array(master),
        ..,
    ] = range.as_slice()
    else {
        return None;
    };
    let [host, Value::Int(port), ..] = master.as_slice() else {
        return None;
    };
    let host = match host {
        Value::BulkString(host) => std::str::from_utf8(host).ok()?,
        Value::SimpleString(host) => host,
        _ => "",
    };
    let host = match host {
        "?" => return None,
        "" => replied,
        host => host,
    };
    let number = |n: &i64| u16::try_from(*n).ok();
    Some((number(first)?, number(last)?, format!("{host}:{port}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From `CLUSTER KEYSLOT 00`, `7f` and `ff` of Redis 7.
    #[test]
    fn slots_are_those_of_redis() {
        for (partition, slot) in [(0x00, 13_254), (0x7f, 4_194), (0xff, 11_756)] {
            assert_eq!(slot_of(partition), slot, "{partition:02x}");
        }
    }

    #[test]
    fn a_reply_is_parsed() {
        let node = |host: &str, port| {
            Value::Array(vec![
                Value::BulkString(host.into()),
                Value::Int(port),
                Value::BulkString(b"id".to_vec()),
            ])
        };
        let range = |first, last, master| {
            Value::Array(vec![
                Value::Int(first),
                Value::Int(last),
                master,
                node("replica", 1),
            ])
        };
        let reply = Value::Array(vec![
            range(0, 5_000, node("10.0.0.1", 7_000)),
            range(5_001, 9_999, node("", 7_001)),
            range(10_000, 16_000, node("::1", 7_002)),
        ]);
        let masters = masters(&reply, "asked.example.com");
        assert_eq!(masters.len(), 256);
        for partition in keys::all_partitions() {
            let expected = match slot_of(partition) {
                0..=5_000 => Some("10.0.0.1:7000"),
                5_001..=9_999 => Some("asked.example.com:7001"),
                10_000..=16_000 => Some("::1:7002"),
                _ => None,
            };
            let found = masters[usize::from(partition)].as_deref();
            assert_eq!(found, expected, "{partition:02x}");
        }
    }
}
