//! Hits of unlimited tokens: added up in memory, written in batches.

use std::collections::{BTreeMap, HashMap};

use super::keys::{self, Partition};
use super::{Inner, fresh_id};
use crate::error::Result;
use crate::token_store::TokenId;

/// Hits that are not written yet, by token and incarnation.
#[derive(Debug, Default)]
pub struct Usage(HashMap<TokenId, (u64, i64)>);

impl Usage {
    /// Hits of the token as it is now.
    pub fn add(&mut self, id: TokenId, incarnation: u64, hits: i64) {
        let entry = self.0.entry(id).or_insert((incarnation, 0));
        if entry.0 != incarnation {
            // The token was made anew: hits of its earlier life are forgotten with it.
            *entry = (incarnation, 0);
        }
        entry.1 += hits;
    }

    /// A hit of some life of the token did not happen, or is written.
    pub fn take_back(&mut self, id: TokenId, incarnation: u64, hits: i64) {
        let entry = self.0.entry(id).or_insert((incarnation, 0));
        if entry.0 == incarnation {
            entry.1 -= hits;
        }
    }

    pub fn of(&self, id: TokenId, incarnation: u64) -> i64 {
        match self.0.get(&id) {
            Some((of, hits)) if *of == incarnation => *hits,
            Some(_) | None => 0,
        }
    }

    /// With the incarnation that they are of.
    pub fn of_any(&self, id: TokenId) -> (u64, i64) {
        self.0.get(&id).copied().unwrap_or_default()
    }

    fn by_partition(&self) -> BTreeMap<Partition, Vec<(TokenId, u64, i64)>> {
        let mut all: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for (&id, &(incarnation, hits)) in &self.0 {
            if hits != 0 {
                all.entry(keys::partition_of(id))
                    .or_default()
                    .push((id, incarnation, hits));
            }
        }
        all
    }
}

impl Inner {
    /// Hits count as not written until Redis has them: a limit set meanwhile is never overrun.
    pub async fn flush_usage(&self) -> Result<()> {
        let _alone = self.flushing.lock().await;
        let all = self.usage.lock().by_partition();
        let each = all.into_iter().map(async |(partition, hits)| {
            let mut call = self.scripts.usage.on(partition).arg(keys::hex(fresh_id()?));
            for (id, incarnation, count) in &hits {
                call.push(id.to_string());
                call.push(keys::hex(*incarnation));
                call.push(*count);
            }
            call.run(&self.link).await?;
            let mut usage = self.usage.lock();
            for (id, incarnation, count) in hits {
                usage.take_back(id, incarnation, count);
            }
            Ok(())
        });
        self.on_each(each.collect()).await?;
        self.usage.lock().0.retain(|_, (_, hits)| *hits != 0);
        Ok(())
    }
}
