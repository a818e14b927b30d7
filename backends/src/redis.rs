//! The shared store: tokens, leases and callback events in Redis, for as many nodes as there are.
//!
//! Each operation is one Lua script in one partition ([`keys`] has the layout), so in one slot of a
//! cluster. Redis' clock decides. What a call counts carries an id that this node made: a script
//! that runs twice counts once.

mod connection;
mod error;
mod keys;
mod maintenance;
pub mod offline;
mod queue;
mod scripts;
mod store;
#[cfg(test)]
mod tests;
mod timeouts;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::stream;
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::callback_queue::RecentEvents;
use crate::error::{BackendError, ErrorKind, Result};
use crate::event::{EventId, Outcome, Report};
use crate::settings::{QueueLimits, RedisSettings};
use connection::Link;
use maintenance::background;
use queue::due_index::Outlook;
use queue::pending_count::Pending;
use scripts::Scripts;
use store::retry_queue::Deeds;
use store::usage_buffer::Usage;
use timeouts::Patience;

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
    fresh: RecentEvents,
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
            fresh: RecentEvents::default(),
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
                    tracing::debug!(exception.message = %error, "a partition does not answer");
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
