//! Reads see buffered and written entries alike.

use super::*;
use crate::embedded::kv::memory::MemoryKv;

type Entries = Vec<(Vec<u8>, Vec<u8>)>;

fn entries(kv: &impl Kv, prefix: &[u8], after: Option<&[u8]>, most: usize) -> Entries {
    let mut found = Vec::new();
    kv.scan(prefix, after, &mut |key, value| {
        found.push((key.to_vec(), value.to_vec()));
        Ok(found.len() < most)
    })
    .unwrap();
    found
}

fn assert_same(sled: &SledKv, memory: &MemoryKv) {
    for prefix in [&b""[..], b"a", b"b/", b"c"] {
        let all = entries(memory, prefix, None, usize::MAX);
        assert_eq!(entries(sled, prefix, None, usize::MAX), all);
        for (index, (key, value)) in all.iter().enumerate() {
            assert_eq!(sled.get(key).unwrap().as_deref(), Some(value.as_slice()));
            assert_eq!(entries(sled, prefix, Some(key), 2), {
                let rest = all[index + 1..].iter().take(2);
                rest.cloned().collect::<Vec<_>>()
            });
        }
    }
}

/// Random batches, written to the database at random moments, read the same as a map in memory.
#[tokio::test]
async fn buffered_writes_are_read_like_written_ones() {
    let folder = tempfile::tempdir().unwrap();
    let (sled, memory) = (SledKv::open(folder.path()).unwrap(), MemoryKv::default());
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = |below: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % below
    };
    for round in 0..500_u64 {
        let (mut one, mut other) = (Batch::default(), Batch::default());
        for _ in 0..=random(4) {
            let key = format!(
                "{}/{}",
                ["a", "b", "b/c", "c"][random(4) as usize],
                random(8)
            );
            if random(3) == 0 {
                one.remove(key.clone().into());
                other.remove(key.into());
            } else {
                let value = round.to_be_bytes().to_vec();
                one.put(key.clone().into(), value.clone());
                other.put(key.into(), value);
            }
        }
        sled.apply(one).unwrap();
        memory.apply(other).unwrap();
        match random(4) {
            0 => sled.durable().await.unwrap(),
            // The database has a part, and the buffer still has all.
            1 => {
                let in_flight = sled.shared.buffer.write().begin_write();
                let tree = sled.shared.tree().unwrap();
                for (key, value) in in_flight.into_iter().take(random(3) as usize) {
                    match value {
                        Some(value) => tree.insert(key, value).map(drop),
                        None => tree.remove(key).map(drop),
                    }
                    .unwrap();
                }
            }
            _ => {}
        }
        assert_same(&sled, &memory);
    }
    sled.durable().await.unwrap();
    assert!(sled.shared.buffer.write().begin_write().is_empty());
    assert_same(&sled, &memory);
}
