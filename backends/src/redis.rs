//! The shared store: tokens, leases and callback events in Redis, for as many nodes as there are.
//!
//! Each operation is one Lua script in one partition ([`keys`] has the layout), so in one slot of a
//! cluster. Redis' clock decides. What a call counts carries an id that this node made: a script
//! that runs twice counts once.

mod admit;
mod background;
mod claim;
mod control;
mod create;
mod deeds;
mod ending;
mod error;
mod keys;
mod letters;
mod life;
mod link;
mod listing;
pub mod offline;
mod outlook;
mod parse;
mod patience;
mod pending;
mod queue;
mod reply;
mod scripts;
mod settle;
mod sweep;
#[cfg(test)]
mod tests;
mod uploads;
mod usage;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use futures_util::StreamExt;
use futures_util::stream;
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::callback_queue::{Claimed, EventId, Fresh, Outcome, Report};
use crate::error::{BackendError, ErrorKind, Result};
use crate::settings::{QueueLimits, RedisSettings};
use crate::token_store::{
    AbandonedUpload, Charged, Created, Filter, Intent, Lease, LeaseId, OpenUpload, Page, Patch,
    Reservation, ReserveRequest, Reserved, Settlement, StoredToken, TokenId, TokenRecord,
    TokenStore, Unsettled,
};
use deeds::Deeds;
use link::Link;
use outlook::Outlook;
use patience::Patience;
use pending::Pending;
use scripts::Scripts;
use usage::Usage;

/// Calls on partitions that are under way at once for one operation.
const FAN_OUT: usize = 64;

/// A token store and callback queue in Redis. Clones share one connection.
#[derive(Clone)]
pub struct RedisStore(Arc<Inner>);

struct Inner {
    link: Link,
    scripts: Scripts,
    limits: QueueLimits,
    /// This process' life, in open entries.
    owner: String,
    usage: Mutex<Usage>,
    flushing: tokio::sync::Mutex<()>,
    claiming: tokio::sync::Mutex<()>,
    /// Events that this node may have claimed, and was not told.
    unheard: Mutex<BTreeSet<EventId>>,
    pending: Pending,
    outlook: Outlook,
    deeds: Deeds,
    queue_changed: Notify,
    fresh: Fresh,
    /// Nodes that have open entries and show no life, and since when.
    missed: Mutex<HashMap<String, Instant>>,
    patience: Patience,
}

impl RedisStore {
    /// What the settings themselves make impossible, such as certificates that cannot be read.
    pub fn check_settings(settings: &RedisSettings) -> Result<()> {
        Link::check_settings(settings)
    }

    /// Begins to connect, and returns at once: that Redis is up shows in use. Must be called inside
    /// a Tokio runtime.
    pub fn open(settings: &RedisSettings, limits: QueueLimits) -> Result<Self> {
        Self::with_patience(settings, limits, Patience::default())
    }

    fn with_patience(
        settings: &RedisSettings,
        limits: QueueLimits,
        patience: Patience,
    ) -> Result<Self> {
        let inner = Arc::new(Inner {
            link: Link::open(settings)?,
            scripts: Scripts::new(),
            limits,
            owner: keys::hex(fresh_id()?),
            usage: Mutex::default(),
            flushing: tokio::sync::Mutex::default(),
            claiming: tokio::sync::Mutex::default(),
            unheard: Mutex::default(),
            pending: Pending::default(),
            outlook: Outlook::new(),
            deeds: Deeds::default(),
            queue_changed: Notify::new(),
            fresh: Fresh::default(),
            missed: Mutex::default(),
            patience,
        });
        tokio::spawn(background::run(Arc::downgrade(&inner)));
        Ok(Self(inner))
    }
}

impl Inner {
    fn reports(&self, report: &Report) -> bool {
        self.limits.report_incomplete || report.outcome == Outcome::Complete
    }

    /// Does all calls and gives the answers of those that went well, unless none did: part of a
    /// cluster may be away, and the rest goes on.
    async fn on_those_up<T>(&self, calls: Vec<impl Future<Output = Result<T>>>) -> Result<Vec<T>> {
        let all: Vec<Result<T>> = stream::iter(calls).buffered(FAN_OUT).collect().await;
        let mut answers = Vec::with_capacity(all.len());
        let mut first = None;
        for answer in all {
            match answer {
                Ok(answer) => answers.push(answer),
                Err(error) => {
                    tracing::debug!(%error, "a partition does not answer");
                    first.get_or_insert(error);
                }
            }
        }
        match first {
            Some(error) if answers.is_empty() => Err(error),
            Some(_) | None => Ok(answers),
        }
    }

    /// Does all calls; fails where one has failed.
    async fn on_each<T>(&self, calls: Vec<impl Future<Output = Result<T>>>) -> Result<Vec<T>> {
        let all: Vec<Result<T>> = stream::iter(calls).buffered(FAN_OUT).collect().await;
        all.into_iter().collect()
    }
}

/// An id that no other process has made.
fn fresh_id() -> Result<u64> {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes)
        .map_err(|e| BackendError::with_source(ErrorKind::Upstream, "random", e))?;
    Ok(u64::from_be_bytes(bytes))
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn json<T: serde::Serialize>(operation: &'static str, value: &T) -> Result<String> {
    serde_json::to_string(value)
        .map_err(|e| BackendError::with_source(ErrorKind::Corrupt, operation, e))
}

#[async_trait]
impl TokenStore for RedisStore {
    async fn create(&self, tokens: Vec<(TokenId, TokenRecord)>) -> Result<Created> {
        self.0.create(&tokens).await
    }

    async fn get(&self, id: TokenId) -> Result<Option<StoredToken>> {
        self.0.get(id).await
    }

    async fn patch(&self, id: TokenId, patch: Patch) -> Result<Option<StoredToken>> {
        self.0.patch(id, &patch).await
    }

    async fn delete(&self, id: TokenId) -> Result<bool> {
        self.0.delete(id, None).await
    }

    async fn list(
        &self,
        filter: &Filter,
        limit: usize,
        cursor: Option<&str>,
    ) -> Result<Option<Page>> {
        self.0.list(filter, limit, cursor).await
    }

    async fn delete_matching(&self, filter: &Filter) -> Result<u64> {
        self.0.delete_matching(filter).await
    }

    async fn reserve(&self, id: TokenId, request: &ReserveRequest<'_>) -> Result<Reserved> {
        self.0.reserve(id, request).await
    }

    async fn charge(&self, reservation: &Reservation, bytes: u64, budget: u64) -> Result<Charged> {
        self.0.charge(reservation, bytes, budget).await
    }

    async fn renew(&self, lease: LeaseId, duration: Duration) -> Result<Lease> {
        self.0.extend(lease, duration, None).await
    }

    async fn finalise(
        &self,
        reservation: &Reservation,
        intent: Intent,
        lease: Duration,
    ) -> Result<Lease> {
        match reservation.lease() {
            Some(held) => self.0.extend(held, lease, Some(intent)).await,
            None => Ok(Lease::Held),
        }
    }

    async fn commit(&self, reservation: Reservation, report: Report) -> Result<Lease> {
        let (lease, _) = self.0.commit(reservation, report, None).await?;
        Ok(lease)
    }

    async fn commit_claiming(
        &self,
        reservation: Reservation,
        report: Report,
        claim: Duration,
    ) -> Result<(Lease, Option<Claimed>)> {
        self.0.commit(reservation, report, Some(claim)).await
    }

    async fn release(
        &self,
        reservation: Reservation,
        unsent: u64,
        report: Option<Report>,
    ) -> Result<()> {
        self.0.release(&reservation, unsent, report).await
    }

    async fn sweep(&self, lease: Duration) -> Result<Vec<Unsettled>> {
        self.0.sweep(lease).await
    }

    async fn settlement(&self, lease: LeaseId) -> Result<Settlement> {
        self.0.settlement(lease).await
    }

    async fn record_upload(&self, lease: LeaseId, upload: OpenUpload) -> Result<Lease> {
        self.0.record_upload(lease, &upload).await
    }

    async fn abandoned_uploads(&self, retry: Duration) -> Result<Vec<AbandonedUpload>> {
        self.0.abandoned_uploads(retry).await
    }

    async fn forget_upload(&self, upload: &AbandonedUpload) -> Result<()> {
        self.0.forget_upload(upload).await
    }

    async fn flush_usage(&self) -> Result<()> {
        self.0.flush_usage().await
    }

    async fn ping(&self) -> Result<()> {
        self.0.link.ping().await
    }

    /// Everything is written as it happens, but for the hits of unlimited tokens.
    async fn close(&self) -> Result<()> {
        self.0.finish_deeds().await;
        self.0.flush_usage().await?;
        self.0.end_life().await
    }
}
