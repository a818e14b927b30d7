//! Hits of unlimited tokens: added up in memory, written in batches.
//!
//! A batch has a number and is kept until Redis has answered. Meanwhile it is sent again as it is,
//! before any other of its partition, whether its answer was lost or its caller has gone: Redis knows
//! by the number what it has.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::error::Result;
use crate::redis::Inner;
use crate::redis::keys::{self, Partition};
use crate::token_store::TokenId;

/// Hits that are not written yet, as far as this node knows.
#[derive(Debug, Default)]
pub struct Usage(BTreeMap<Partition, Share>);

/// Those of one partition.
#[derive(Debug, Default)]
struct Share {
    /// By token, with the incarnation that they are of.
    new: Hits,
    /// Sent, and not answered.
    sent: Option<Arc<Batch>>,
    /// The number of the last batch.
    last: u64,
}

#[derive(Debug)]
struct Batch {
    number: u64,
    hits: Hits,
}

type Hits = HashMap<TokenId, (u64, i64)>;

impl Usage {
    /// Hits of the token as it is now.
    pub fn add(&mut self, id: TokenId, incarnation: u64, hits: i64) {
        let entry = self.entry(id, incarnation);
        if entry.0 != incarnation {
            // The token was made anew: hits of its earlier life are forgotten with it.
            *entry = (incarnation, 0);
        }
        entry.1 += hits;
    }

    /// A hit of some life of the token did not happen.
    pub fn take_back(&mut self, id: TokenId, incarnation: u64, hits: i64) {
        // One of an earlier life is forgotten; an entry for it would hide what is sent of this one.
        let of_another = self.last(id).is_some_and(|last| last != incarnation);
        if !of_another {
            self.entry(id, incarnation).1 -= hits;
        }
    }

    fn entry(&mut self, id: TokenId, incarnation: u64) -> &mut (u64, i64) {
        let share = self.0.entry(keys::partition_of(id)).or_default();
        share.new.entry(id).or_insert((incarnation, 0))
    }

    pub fn of(&self, id: TokenId, incarnation: u64) -> i64 {
        let share = self.0.get(&keys::partition_of(id));
        let all = share.into_iter().flat_map(Share::all);
        let hits = all.filter_map(|hits| hits.get(&id));
        let of_it = hits.filter(|(of, _)| *of == incarnation);
        of_it.map(|(_, hits)| hits).sum()
    }

    /// With the incarnation that they are of.
    pub fn of_any(&self, id: TokenId) -> (u64, i64) {
        self.last(id).map_or_else(Default::default, |incarnation| {
            (incarnation, self.of(id, incarnation))
        })
    }

    /// The newest incarnation of which there are hits.
    fn last(&self, id: TokenId) -> Option<u64> {
        let share = self.0.get(&keys::partition_of(id));
        let mut all = share.into_iter().flat_map(Share::all);
        let (incarnation, _) = all.find_map(|hits| hits.get(&id))?;
        Some(*incarnation)
    }

    fn partitions(&self) -> Vec<Partition> {
        self.0.keys().copied().collect()
    }

    fn sent(&self, partition: Partition) -> Option<Arc<Batch>> {
        self.0.get(&partition)?.sent.clone()
    }

    /// What is new becomes the next batch, where there is none.
    fn send(&mut self, partition: Partition) -> Option<Arc<Batch>> {
        let share = self.0.get_mut(&partition)?;
        if share.sent.is_none() {
            let mut hits = std::mem::take(&mut share.new);
            hits.retain(|_, (_, hits)| *hits != 0);
            if !hits.is_empty() {
                share.last += 1;
                let number = share.last;
                share.sent = Some(Arc::new(Batch { number, hits }));
            }
        }
        share.sent.clone()
    }

    fn written(&mut self, partition: Partition) {
        if let Some(share) = self.0.get_mut(&partition) {
            share.sent = None;
        }
    }
}

impl Share {
    /// The newest first.
    fn all(&self) -> impl Iterator<Item = &Hits> {
        std::iter::once(&self.new).chain(self.sent.as_ref().map(|batch| &batch.hits))
    }
}

impl Inner {
    /// Hits count as not written until Redis has answered: a limit set meanwhile is never overrun.
    pub async fn flush_usage(&self) -> Result<()> {
        let _alone = self.flushing.lock().await;
        let partitions = self.usage.lock().partitions().into_iter();
        let each = partitions.map(async |partition| {
            let sent = self.usage.lock().sent(partition);
            if let Some(again) = sent {
                self.write_usage(partition, &again).await?;
            }
            let next = self.usage.lock().send(partition);
            match next {
                Some(next) => self.write_usage(partition, &next).await,
                None => Ok(()),
            }
        });
        self.on_each(each.collect()).await?;
        Ok(())
    }

    async fn write_usage(&self, partition: Partition, batch: &Batch) -> Result<()> {
        let mut call = self.scripts.add_usage.on(partition);
        call.push(&self.owner);
        call.push(batch.number);
        for (id, (incarnation, count)) in &batch.hits {
            call.push(id.to_string());
            call.push(keys::hex(*incarnation));
            call.push(*count);
        }
        call.run(&self.link).await?;
        self.usage.lock().written(partition);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: TokenId = TokenId([7; 16]);

    #[test]
    fn a_batch_stays_as_it_is_until_it_is_written() {
        let mut usage = Usage::default();
        usage.add(ID, 1, 2);
        let first = usage.send(7).unwrap();
        assert_eq!((first.number, first.hits[&ID]), (1, (1, 2)));
        usage.add(ID, 1, 5);
        usage.take_back(ID, 1, 1);
        assert_eq!((usage.of(ID, 1), usage.of_any(ID)), (6, (1, 6)));
        assert_eq!(usage.send(7).unwrap().number, 1);
        usage.written(7);
        assert_eq!((usage.of(ID, 1), usage.of(ID, 2)), (4, 0));
        let second = usage.send(7).unwrap();
        assert_eq!((second.number, second.hits[&ID]), (2, (1, 4)));
        usage.written(7);
        assert!(usage.send(7).is_none());
    }

    #[test]
    fn what_an_earlier_life_takes_back_hides_nothing() {
        let mut usage = Usage::default();
        usage.add(ID, 2, 3);
        usage.send(7).unwrap();
        usage.take_back(ID, 1, 1);
        assert_eq!(usage.of_any(ID), (2, 3));
        usage.take_back(ID, 2, 1);
        assert_eq!(usage.of_any(ID), (2, 2));
        usage.written(7);
        usage.send(7).unwrap();
        usage.written(7);
        // What is written is taken back too.
        usage.take_back(ID, 2, 1);
        assert_eq!(usage.send(7).unwrap().hits[&ID], (2, -1));
    }

    #[test]
    fn a_token_made_anew_begins_at_nothing() {
        let mut usage = Usage::default();
        usage.add(ID, 1, 2);
        usage.send(7).unwrap();
        usage.add(ID, 2, 1);
        assert_eq!(usage.of_any(ID), (2, 1));
        // Of its earlier life.
        usage.take_back(ID, 1, 1);
        usage.take_back(ID, 2, 1);
        usage.written(7);
        assert_eq!(usage.of_any(ID), (2, 0));
        assert!(usage.send(7).is_none());
    }
}
