//! The sweep: removes expired tokens and old dead letters, and takes over lapsed leases.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::kv::{Batch, Kv};
use super::values::{CountedValue, EventValue, LeaseValue, OpenValue, TokenValue, UploadValue};
use super::{Inner, keys, millis, values};
use crate::error::Result;
use crate::event::EventId;
use crate::token_store::{GRACE_SECONDS, Hold, LeaseId, Reservation, TokenId, UnsettledUpload};

/// Entries that one step of the sweep removes.
const SWEEP_BATCH: usize = 1_000;

impl<K: Kv> Inner<K> {
    /// Runs all steps, and returns the uploads left finalising that it took over.
    pub fn sweep(&self, lease: Duration) -> Result<Vec<UnsettledUpload>> {
        while self.remove_expired_tokens()? == SWEEP_BATCH {}
        if !self.recovered.load(Ordering::Acquire) {
            self.close_events_of_earlier_processes()?;
            self.recovered.store(true, Ordering::Release);
        }
        while self.drop_dead_letters()? == SWEEP_BATCH {}
        self.remove_settlements()?;
        self.take_over_leases(lease)
    }

    /// Drops dead letters that are too old or too many, up to a batch, and returns how many. Ids sort by
    /// time, so the scan ends at the first letter that stays.
    fn drop_dead_letters(&self) -> Result<usize> {
        let now_ms = self.clock.now_ms();
        let before = self
            .limits
            .keep_dead
            .map(|keep| now_ms.saturating_sub(millis(keep)));
        // Dead-lettering and replaying change and count letters under the same lock.
        let _claims = self.claims.lock();
        let too_many = self.dead.load(Ordering::Relaxed);
        let too_many = too_many.saturating_sub(self.limits.max_dead());
        let mut batch = Batch::default();
        let mut dropped = 0;
        self.kv.scan(keys::DEAD, None, &mut |key, value| {
            let is_old = match values::decode::<EventValue>(value) {
                Ok(letter) => {
                    let last = letter.attempts.last();
                    let last = last.map_or(letter.queued_at_ms, |attempt| attempt.at_ms);
                    before.is_some_and(|before| last <= before)
                }
                Err(error) => {
                    tracing::error!(
                        exception.message = %error, "dropped a dead letter that cannot be read"
                    );
                    true
                }
            };
            let is_dropped = is_old || (dropped as u64) < too_many;
            if is_dropped {
                batch.remove(key.to_vec());
                dropped += 1;
            }
            Ok(is_dropped && dropped < SWEEP_BATCH)
        })?;
        if dropped > 0 {
            self.kv.apply(batch)?;
            self.dead.fetch_sub(dropped as u64, Ordering::Relaxed);
            tracing::warn!(dropped, "dropped the oldest dead letters");
        }
        Ok(dropped)
    }

    /// Removes tokens past their grace period, up to a batch, and returns how many.
    fn remove_expired_tokens(&self) -> Result<usize> {
        let now = self.clock.now_seconds();
        let mut gone = Vec::new();
        self.kv.scan(keys::EXPIRIES, None, &mut |key, _| {
            let over = keys::parse_number(key)
                .is_some_and(|expire_at| expire_at.saturating_add(GRACE_SECONDS) <= now);
            if over {
                gone.extend(keys::trailing_id(key).map(|id| (key.to_vec(), id)));
            }
            Ok(over && gone.len() < SWEEP_BATCH)
        })?;
        let purged = gone.len();
        for (entry, id) in gone {
            if !self.delete_if(id, |token, _| Ok(token.is_gone(now)))? {
                // The token was revived or re-created since, and has another expiry entry.
                self.kv.apply(Batch::of_removal(entry))?;
            }
        }
        Ok(purged)
    }

    /// Closes the open events of downloads that an earlier process left.
    fn close_events_of_earlier_processes(&self) -> Result<()> {
        let mut left: Vec<EventId> = Vec::new();
        self.kv.scan(keys::OPEN, None, &mut |_, value| {
            let open: OpenValue = values::decode(value)?;
            if open.owner != self.owner {
                left.push(open.event.id);
            }
            Ok(true)
        })?;
        for event in left {
            let Some(open) = values::read::<OpenValue>(&self.kv, &keys::open(&event))? else {
                continue;
            };
            // An open event holds the report of an interrupted download.
            let report = open.event.report;
            let mut batch = Batch::default();
            self.close_event(&event, Some(report), &mut batch)?;
            self.apply_events(batch)?;
        }
        Ok(())
    }

    /// Removes settlements that are no longer kept.
    fn remove_settlements(&self) -> Result<()> {
        let now_ms = self.clock.now_ms();
        let mut batch = Batch::default();
        self.kv.scan(keys::COUNTED, None, &mut |key, value| {
            if values::decode::<CountedValue>(value)?.until <= now_ms {
                batch.remove(key.to_vec());
            }
            Ok(true)
        })?;
        match batch.is_empty() {
            true => Ok(()),
            false => self.kv.apply(batch),
        }
    }

    /// Frees or takes over all lapsed leases.
    fn take_over_leases(&self, lease: Duration) -> Result<Vec<UnsettledUpload>> {
        let now_ms = self.clock.now_ms();
        let mut lapsed = Vec::new();
        self.kv.scan(keys::LEASES, None, &mut |key, value| {
            if values::decode::<LeaseValue>(value)?.has_lapsed(now_ms, self.owner) {
                lapsed.extend(keys::parse_lease(key));
            }
            Ok(true)
        })?;
        let mut unsettled = Vec::new();
        for (id, number) in lapsed {
            unsettled.extend(self.take_over(id, number, lease)?);
        }
        Ok(unsettled)
    }

    /// Frees a lapsed lease; takes it over if its upload was left finalising.
    fn take_over(
        &self,
        id: TokenId,
        number: u64,
        lease: Duration,
    ) -> Result<Option<UnsettledUpload>> {
        let now_ms = self.clock.now_ms();
        let key = keys::lease(id, number);
        let _stripe = self.stripe(id);
        let Some(mut value) = values::read::<LeaseValue>(&self.kv, &key)? else {
            return Ok(None);
        };
        if !value.has_lapsed(now_ms, self.owner) {
            return Ok(None);
        }
        let token = self.kv.get(&keys::token(id))?;
        let mut batch = Batch::default();
        let unsettled = match (&value.intent, token) {
            (Some(intent), Some(token)) => {
                let token: TokenValue = values::decode(&token)?;
                let parts: Option<UploadValue> = values::read(&self.kv, &keys::upload(id, number))?;
                let unsettled = UnsettledUpload {
                    record: token.record,
                    reservation: Reservation {
                        token_id: id,
                        incarnation: token.incarnation,
                        hold: Hold::Leased(LeaseId {
                            token_id: id,
                            lease: number,
                            fencing_token: value.fencing_token + 1,
                        }),
                        event: None,
                    },
                    intent: intent.clone(),
                    open_upload: parts.map(|parts| parts.upload),
                };
                value.until = now_ms.saturating_add(millis(lease));
                value.owner = self.owner;
                value.fencing_token += 1;
                batch.put(key, values::encode(&value)?);
                Some(unsettled)
            }
            (Some(_), None) | (None, _) => {
                batch.remove(key);
                None
            }
        };
        self.kv.apply(batch)?;
        Ok(unsettled)
    }
}
