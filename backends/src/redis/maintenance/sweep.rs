//! Housekeeping: what time, or the death of a node, has left behind.

use std::collections::{BTreeMap, HashSet};
use std::time::{Duration, Instant};

use crate::error::Result;
use crate::event::Report;
use crate::redis::keys::{self, Partition};
use crate::redis::scripts::Items;
use crate::redis::scripts::decode;
use crate::redis::{Inner, json, millis};
use crate::token_store::{Hold, LeaseId, Reservation, UnsettledUpload};

/// Tokens, and leases, that one script looks after.
const SWEPT_AT_ONCE: usize = 100;
/// Open entries of a dead node that one script ends.
const ENDED_AT_ONCE: usize = 100;

impl Inner {
    pub async fn sweep(&self, lease: Duration) -> Result<Vec<UnsettledUpload>> {
        // Where it fails others may take this node's part; the rest goes on.
        if let Err(error) = self.show_life().await {
            tracing::debug!(exception.message = %error, "no sign of life given");
        }
        let each = keys::all_partitions().map(|partition| self.sweep_one(partition, lease));
        let mut unsettled = Vec::new();
        let mut owners: BTreeMap<String, Vec<Partition>> = BTreeMap::new();
        let swept = self.on_those_up(each.collect()).await;
        if swept.is_err() {
            self.hear_anew();
        }
        for (partition, left, with_entries) in swept? {
            unsettled.extend(left);
            for owner in with_entries {
                owners.entry(owner).or_default().push(partition);
            }
        }
        // What was taken over has to be handed out whatever becomes of the rest.
        if let Err(error) = self.end_entries_of_the_dead(owners).await {
            tracing::error!(exception.message = %error, "open entries of dead nodes not ended");
        }
        Ok(unsettled)
    }

    /// Uploads to settle, and the nodes that have open entries here.
    async fn sweep_one(
        &self,
        partition: Partition,
        lease: Duration,
    ) -> Result<(Partition, Vec<UnsettledUpload>, Vec<String>)> {
        let mut unsettled = Vec::new();
        loop {
            let script = &self.scripts.sweep;
            let keep_dead = self.limits.keep_dead.map_or(0, millis);
            // Each partition has its share, and some more: they are not filled alike.
            let max_dead = self.limits.max_dead() / 256 + 100;
            let call = script.on(partition).arg(millis(lease)).arg(SWEPT_AT_ONCE);
            let call = call.arg(keep_dead).arg(max_dead);
            let mut items = match call.run(&self.link).await {
                Ok(reply) => reply.items()?,
                Err(error) if unsettled.is_empty() => return Err(error),
                Err(_) => return Ok((partition, unsettled, Vec::new())),
            };
            let more = items.number()? == 1;
            for item in items.part()?.items()? {
                match parse_unsettled(&mut item.items()?) {
                    Ok(upload) => unsettled.push(upload),
                    // It must not keep the others from being settled.
                    Err(error) => tracing::error!(
                        exception.message = %error, partition, "an upload cannot be read"
                    ),
                }
            }
            if !more {
                let owners: Result<Vec<_>> = items.part()?.items()?.map(|o| o.text()).collect();
                return Ok((partition, unsettled, owners?));
            }
        }
    }

    async fn end_entries_of_the_dead(
        &self,
        owners: BTreeMap<String, Vec<Partition>>,
    ) -> Result<()> {
        let mut missing = HashSet::new();
        for owner in owners.keys() {
            // Who cannot be asked about is believed to live.
            if !self.is_alive(owner).await.unwrap_or(true) {
                missing.insert(owner.clone());
            }
        }
        let dead: Vec<String> = {
            let mut missed = self.missed.lock();
            missed.retain(|owner, _| missing.contains(owner));
            let now = Instant::now();
            let long = |since: Instant| now.duration_since(since) >= self.patience.missed_for;
            missing
                .into_iter()
                .filter(|owner| long(*missed.entry(owner.clone()).or_insert(now)))
                .collect()
        };
        for owner in dead {
            for partition in owners.get(&owner).into_iter().flatten() {
                if let Err(error) = self.end_entries(&owner, *partition).await {
                    tracing::error!(
                        exception.message = %error, owner, "open entries of a dead node not ended"
                    );
                }
            }
            tracing::warn!(owner, "ended the downloads of a node that died");
        }
        Ok(())
    }

    async fn end_entries(&self, owner: &str, partition: Partition) -> Result<()> {
        let interrupted = Report::interrupted();
        let report = match self.reports(&interrupted) {
            true => json("redis.sweep", &interrupted)?,
            false => String::new(),
        };
        loop {
            let script = &self.scripts.interrupt_downloads;
            let mut call = script.on(partition).arg(owner).arg(&report);
            for _ in 0..ENDED_AT_ONCE {
                call.push(keys::event_in(partition).as_str());
            }
            let mut items = call.run(&self.link).await?.items()?;
            let (ended, left) = (items.number()?, items.number()?);
            if ended > 0 && !report.is_empty() {
                self.outlook.note(partition, 0);
                self.queue_changed.notify_one();
            }
            if left == 0 {
                return Ok(());
            }
        }
    }
}

fn parse_unsettled(items: &mut Items) -> Result<UnsettledUpload> {
    let token_id = decode::token_id(&items.text()?)?;
    let record = decode::record(&items.text()?)?;
    let incarnation = decode::hex(&items.text()?)?;
    let lease = decode::hex(&items.text()?)?;
    let fencing_token = u32::try_from(items.number()?).unwrap_or(u32::MAX);
    Ok(UnsettledUpload {
        record,
        reservation: Reservation {
            token_id,
            incarnation,
            hold: Hold::Leased(LeaseId {
                token_id,
                lease,
                fencing_token,
            }),
            event: None,
        },
        intent: decode::from_json(&items.text()?)?,
        open_upload: match items.text()?.as_str() {
            "" => None,
            upload => Some(decode::from_json(upload)?),
        },
    })
}
