//! Write-behind buffer: hits of unlimited tokens are added up in memory and written in batches.
//!
//! A batch has a number, and stays in the buffer until Redis has answered. Until then it is sent again unchanged, before
//! any other batch of its partition. Redis keeps the number of the last one, and so counts each batch once.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use parking_lot::Mutex;

use crate::error::Result;
use crate::redis::keys::{self, Partition};
use crate::redis::{Inner, all_of};
use crate::token_store::TokenId;

#[derive(Default)]
pub struct UsageBuffer {
    pub hits: Mutex<BufferedHits>,
    flush_lock: tokio::sync::Mutex<()>,
}

/// Hits that Redis is not known to have.
#[derive(Debug, Default)]
pub struct BufferedHits(BTreeMap<Partition, PartitionHits>);

#[derive(Debug, Default)]
struct PartitionHits {
    new: Hits,
    /// Sent, and not answered.
    sent: Option<Arc<Batch>>,
    last_batch_number: u64,
}

#[derive(Debug)]
struct Batch {
    number: u64,
    hits: Hits,
}

/// Incarnation and its hits, by token.
type Hits = HashMap<TokenId, (u64, i64)>;

impl BufferedHits {
    /// Adds hits of the token's present incarnation.
    pub fn add(&mut self, id: TokenId, incarnation: u64, hits: i64) {
        let entry = self.entry(id, incarnation);
        if entry.0 != incarnation {
            // The token was created anew: hits of an earlier incarnation no longer count.
            *entry = (incarnation, 0);
        }
        entry.1 += hits;
    }

    /// Subtracts hits of any incarnation of the token.
    pub fn release(&mut self, id: TokenId, incarnation: u64, hits: i64) {
        // Hits of an earlier incarnation no longer count. An entry for it would hide those sent of the present one.
        let is_earlier = self.incarnation(id).is_some_and(|of| of != incarnation);
        if !is_earlier {
            self.entry(id, incarnation).1 -= hits;
        }
    }

    fn entry(&mut self, id: TokenId, incarnation: u64) -> &mut (u64, i64) {
        let partition = self.0.entry(keys::partition_of(id)).or_default();
        partition.new.entry(id).or_insert((incarnation, 0))
    }

    pub fn of(&self, id: TokenId, incarnation: u64) -> i64 {
        let partition = self.0.get(&keys::partition_of(id));
        let all = partition.into_iter().flat_map(PartitionHits::newest_first);
        let entries = all.filter_map(|hits| hits.get(&id));
        let entries = entries.filter(|(of, _)| *of == incarnation);
        entries.map(|(_, hits)| hits).sum()
    }

    /// The newest incarnation that has hits here, and its hits.
    pub fn newest(&self, id: TokenId) -> (u64, i64) {
        let of = |incarnation| (incarnation, self.of(id, incarnation));
        self.incarnation(id).map_or_else(Default::default, of)
    }

    fn incarnation(&self, id: TokenId) -> Option<u64> {
        let partition = self.0.get(&keys::partition_of(id));
        let mut all = partition.into_iter().flat_map(PartitionHits::newest_first);
        let (incarnation, _) = all.find_map(|hits| hits.get(&id))?;
        Some(*incarnation)
    }

    fn partitions(&self) -> Vec<Partition> {
        self.0.keys().copied().collect()
    }

    fn unanswered_batch(&self, partition: Partition) -> Option<Arc<Batch>> {
        self.0.get(&partition)?.sent.clone()
    }

    /// The unanswered batch, or a new one of all new hits.
    fn next_batch(&mut self, partition: Partition) -> Option<Arc<Batch>> {
        let partition = self.0.get_mut(&partition)?;
        if partition.sent.is_none() {
            let mut hits = std::mem::take(&mut partition.new);
            hits.retain(|_, (_, hits)| *hits != 0);
            if !hits.is_empty() {
                partition.last_batch_number += 1;
                let number = partition.last_batch_number;
                partition.sent = Some(Arc::new(Batch { number, hits }));
            }
        }
        partition.sent.clone()
    }

    fn acknowledge(&mut self, partition: Partition) {
        if let Some(partition) = self.0.get_mut(&partition) {
            partition.sent = None;
        }
    }
}

impl PartitionHits {
    fn newest_first(&self) -> impl Iterator<Item = &Hits> {
        std::iter::once(&self.new).chain(self.sent.as_ref().map(|batch| &batch.hits))
    }
}

impl Inner {
    /// Hits stay in the buffer until Redis has answered, so that a limit set meanwhile is never exceeded.
    pub async fn flush_usage(&self) -> Result<()> {
        let _lock = self.usage.flush_lock.lock().await;
        let partitions = self.usage.hits.lock().partitions().into_iter();
        let each = partitions.map(async |partition| {
            let unanswered = self.usage.hits.lock().unanswered_batch(partition);
            if let Some(batch) = unanswered {
                self.write_batch(partition, &batch).await?;
            }
            let next = self.usage.hits.lock().next_batch(partition);
            match next {
                Some(batch) => self.write_batch(partition, &batch).await,
                None => Ok(()),
            }
        });
        all_of(each.collect()).await?;
        Ok(())
    }

    async fn write_batch(&self, partition: Partition, batch: &Batch) -> Result<()> {
        let mut call = self.scripts.add_usage.on(partition);
        call.push(&self.node);
        call.push(batch.number);
        for (id, (incarnation, count)) in &batch.hits {
            call.push(id.to_string());
            call.push(keys::hex(*incarnation));
            call.push(*count);
        }
        call.run(&self.connection).await?;
        self.usage.hits.lock().acknowledge(partition);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: TokenId = TokenId([7; 16]);

    #[test]
    fn a_batch_stays_unchanged_until_it_is_acknowledged() {
        let mut buffer = BufferedHits::default();
        buffer.add(ID, 1, 2);
        let first = buffer.next_batch(7).unwrap();
        assert_eq!((first.number, first.hits[&ID]), (1, (1, 2)));
        buffer.add(ID, 1, 5);
        buffer.release(ID, 1, 1);
        assert_eq!((buffer.of(ID, 1), buffer.newest(ID)), (6, (1, 6)));
        assert_eq!(buffer.next_batch(7).unwrap().number, 1);
        buffer.acknowledge(7);
        assert_eq!((buffer.of(ID, 1), buffer.of(ID, 2)), (4, 0));
        let second = buffer.next_batch(7).unwrap();
        assert_eq!((second.number, second.hits[&ID]), (2, (1, 4)));
        buffer.acknowledge(7);
        assert!(buffer.next_batch(7).is_none());
    }

    #[test]
    fn a_release_of_an_earlier_incarnation_changes_nothing() {
        let mut buffer = BufferedHits::default();
        buffer.add(ID, 2, 3);
        buffer.next_batch(7).unwrap();
        buffer.release(ID, 1, 1);
        assert_eq!(buffer.newest(ID), (2, 3));
        buffer.release(ID, 2, 1);
        assert_eq!(buffer.newest(ID), (2, 2));
        buffer.acknowledge(7);
        buffer.next_batch(7).unwrap();
        buffer.acknowledge(7);
        // Hits that are written can be released, too.
        buffer.release(ID, 2, 1);
        assert_eq!(buffer.next_batch(7).unwrap().hits[&ID], (2, -1));
    }

    #[test]
    fn a_token_that_is_created_anew_has_no_hits() {
        let mut buffer = BufferedHits::default();
        buffer.add(ID, 1, 2);
        buffer.next_batch(7).unwrap();
        buffer.add(ID, 2, 1);
        assert_eq!(buffer.newest(ID), (2, 1));
        // Of the earlier incarnation.
        buffer.release(ID, 1, 1);
        buffer.release(ID, 2, 1);
        buffer.acknowledge(7);
        assert_eq!(buffer.newest(ID), (2, 0));
        assert!(buffer.next_batch(7).is_none());
    }
}
