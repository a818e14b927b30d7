//! The sweep: deletes what is over, hands out uploads to recover, closes open events of dead nodes.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use crate::error::Result;
use crate::event::Report;
use crate::redis::keys::{self, Partition};
use crate::redis::scripts::{Items, decode};
use crate::redis::{Inner, any_of, json, millis};
use crate::token_store::{Hold, LeaseId, Reservation, UnsettledUpload};

/// Entries of each kind that one script sweeps.
const SWEPT_PER_CALL: usize = 100;
/// Open events of a dead node that one script closes.
const CLOSED_PER_CALL: usize = 100;
/// Dead letters that a partition may have above its share: partitions are not filled alike.
const EXTRA_DEAD_LETTERS: u64 = 100;

impl Inner {
    pub async fn sweep(&self, lease: Duration) -> Result<Vec<UnsettledUpload>> {
        // A sweep without a heartbeat does no harm.
        if let Err(error) = self.write_heartbeat().await {
            tracing::debug!(exception.message = %error, "heartbeat not written");
        }
        let each = keys::all_partitions().map(|partition| self.sweep_partition(partition, lease));
        let mut unsettled = Vec::new();
        let mut nodes: BTreeMap<String, Vec<Partition>> = BTreeMap::new();
        let swept = any_of(each.collect()).await;
        if swept.is_err() {
            self.missed_heartbeats.clear();
        }
        for (partition, uploads, nodes_with_open_events) in swept? {
            unsettled.extend(uploads);
            for node in nodes_with_open_events {
                nodes.entry(node).or_default().push(partition);
            }
        }
        // The uploads are taken over, and must be returned in spite of a failure here.
        if let Err(error) = self.close_events_of_dead_nodes(nodes).await {
            tracing::error!(exception.message = %error, "open events of dead nodes not closed");
        }
        Ok(unsettled)
    }

    /// Uploads to recover, and the nodes that have open events in the partition.
    async fn sweep_partition(
        &self,
        partition: Partition,
        lease: Duration,
    ) -> Result<(Partition, Vec<UnsettledUpload>, Vec<String>)> {
        let mut unsettled = Vec::new();
        loop {
            let script = &self.scripts.sweep;
            let limits = &self.queue.limits;
            let keep_dead_ms = limits.keep_dead.map_or(0, millis);
            let max_dead = limits.max_dead() / 256 + EXTRA_DEAD_LETTERS;
            let call = script.on(partition).arg(millis(lease)).arg(SWEPT_PER_CALL);
            let call = call.arg(keep_dead_ms).arg(max_dead);
            let mut items = match call.run(&self.connection).await {
                Ok(reply) => reply.items()?,
                Err(error) if unsettled.is_empty() => return Err(error),
                Err(_) => return Ok((partition, unsettled, Vec::new())),
            };
            let more = items.number()? == 1;
            for item in items.item()?.items()? {
                match parse_unsettled(&mut item.items()?) {
                    Ok(upload) => unsettled.push(upload),
                    // The other uploads can still be recovered.
                    Err(error) => {
                        tracing::error!(exception.message = %error, partition, "an upload cannot be parsed")
                    }
                }
            }
            if !more {
                let nodes: Result<Vec<_>> = items.item()?.items()?.map(|o| o.text()).collect();
                return Ok((partition, unsettled, nodes?));
            }
        }
    }

    async fn close_events_of_dead_nodes(
        &self,
        nodes: BTreeMap<String, Vec<Partition>>,
    ) -> Result<()> {
        let mut missing = HashSet::new();
        for node in nodes.keys() {
            // A node counts as alive where its heartbeat cannot be read.
            if !self.has_heartbeat(node).await.unwrap_or(true) {
                missing.insert(node.clone());
            }
        }
        let dead = self
            .missed_heartbeats
            .update(missing, self.timeouts.dead_after);
        for node in dead {
            for partition in nodes.get(&node).into_iter().flatten() {
                if let Err(error) = self.interrupt_downloads(&node, *partition).await {
                    tracing::error!(exception.message = %error, node, "open events of a dead node not closed");
                }
            }
            tracing::warn!(node, "closed the open events of a dead node");
        }
        Ok(())
    }

    async fn interrupt_downloads(&self, node: &str, partition: Partition) -> Result<()> {
        let interrupted = Report::interrupted();
        let report = match self.queue.is_reported(&interrupted) {
            true => json("redis.sweep", &interrupted)?,
            false => String::new(),
        };
        loop {
            let script = &self.scripts.interrupt_downloads;
            let mut call = script.on(partition).arg(node).arg(&report);
            for _ in 0..CLOSED_PER_CALL {
                call.push(keys::new_event_id(partition).as_str());
            }
            let mut items = call.run(&self.connection).await?.items()?;
            let (closed, left) = (items.number()?, items.number()?);
            if closed > 0 && !report.is_empty() {
                self.queue.due_index.note_due(partition, 0);
                self.queue.changed.notify_one();
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
