//! The store of a fleet: tokens, leases and callback events in Redis, shared by any number of nodes.
//!
//! Each operation is one Lua script in one partition, so in one slot of a cluster. Redis' clock decides. What a call
//! counts carries an id that this node made, so that a script that runs twice counts once.
//!
//! - [`keys`]: the layout, and the constants that Rust and Lua share.
//! - [`connection`]: requests to one server, a sentinel master or a cluster.
//! - [`scripts`]: the Lua scripts and their replies.
//! - [`store`]: the token store, one file for each operation, and the retry queue.
//! - [`queue`]: the callback queue.
//! - [`maintenance`]: heartbeats, sweeps, what each node does by itself.
//! - [`offline`]: export and import of the whole store.
//! - [`error`]: errors of the Redis client.

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

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream;

use crate::clock::millis;
use crate::error::{BackendError, ErrorKind, Result};
use crate::settings::{QueueLimits, RedisSettings};
use crate::token_store::random_id;
use connection::Connection;
use maintenance::background;
use maintenance::heartbeat::MissedHeartbeats;
use queue::state::QueueState;
use scripts::Scripts;
use store::retry_queue::RetryQueue;
use store::usage_buffer::UsageBuffer;

/// Partitions that one operation calls at once.
const FAN_OUT: usize = 64;

/// A token store and callback queue in Redis. Clones share one connection.
#[derive(Clone)]
pub struct RedisStore(Arc<Inner>);

/// What all operations need. They are methods of it, in the files named after them.
struct Inner {
    connection: Connection,
    scripts: Scripts,
    /// Random id of this process.
    node: String,
    timeouts: OutageTimeouts,
    usage: UsageBuffer,
    retry_queue: RetryQueue,
    queue: QueueState,
    missed_heartbeats: MissedHeartbeats,
}

/// How a node acts while Redis, or another node, does not answer. Tests shorten these times.
struct OutageTimeouts {
    /// A node is dead when its heartbeat was missing for so long. After an outage of Redis every node needs a
    /// moment to write its own.
    dead_after: Duration,
    /// Delays (ms) before each retry of an operation. With the time limits of all tries they end before Redis
    /// forgets the call id ([`CALL_ID_TTL_MS`](keys::CALL_ID_TTL_MS)). What is safe without it is then
    /// retried at the last delay.
    retry_delays_ms: &'static [u64],
}

impl Default for OutageTimeouts {
    fn default() -> Self {
        Self {
            dead_after: Duration::from_secs(30),
            retry_delays_ms: &[100, 400, 1_000, 2_000, 4_000, 8_000, 8_000, 16_000],
        }
    }
}

impl RedisStore {
    /// Refuses settings that cannot work, such as certificates that cannot be parsed.
    pub fn check_settings(settings: &RedisSettings) -> Result<()> {
        Connection::check_settings(settings)
    }

    /// Begins to connect, and returns before it is known whether Redis answers. Must be called inside a Tokio runtime.
    pub fn open(settings: &RedisSettings, limits: QueueLimits) -> Result<Self> {
        Self::with_timeouts(settings, limits, OutageTimeouts::default())
    }

    fn with_timeouts(
        settings: &RedisSettings,
        limits: QueueLimits,
        timeouts: OutageTimeouts,
    ) -> Result<Self> {
        let inner = Arc::new(Inner {
            connection: Connection::open(settings)?,
            scripts: Scripts::new(),
            node: keys::hex(random_id()?),
            timeouts,
            usage: UsageBuffer::default(),
            retry_queue: RetryQueue::default(),
            queue: QueueState::new(limits),
            missed_heartbeats: MissedHeartbeats::default(),
        });
        tokio::spawn(background::run(Arc::downgrade(&inner)));
        Ok(Self(inner))
    }
}

/// SHA-1 and name of each script, for tests that count what requests cost.
#[cfg(any(test, feature = "conformance"))]
pub fn script_names() -> Vec<(String, &'static str)> {
    Scripts::new().names()
}

/// Runs all calls; fails where one fails.
async fn all_of<T>(calls: Vec<impl Future<Output = Result<T>>>) -> Result<Vec<T>> {
    let replies: Vec<Result<T>> = stream::iter(calls).buffered(FAN_OUT).collect().await;
    replies.into_iter().collect()
}

/// Runs all calls, and returns the replies of those that succeed; fails where none does. Part of a cluster may be
/// away while the rest serves.
async fn any_of<T>(calls: Vec<impl Future<Output = Result<T>>>) -> Result<Vec<T>> {
    let all: Vec<Result<T>> = stream::iter(calls).buffered(FAN_OUT).collect().await;
    let mut replies = Vec::with_capacity(all.len());
    let mut first_error = None;
    for reply in all {
        match reply {
            Ok(reply) => replies.push(reply),
            Err(error) => {
                tracing::debug!(exception.message = %error, "a partition does not answer");
                first_error.get_or_insert(error);
            }
        }
    }
    match first_error {
        Some(error) if replies.is_empty() => Err(error),
        Some(_) | None => Ok(replies),
    }
}

fn json<T: serde::Serialize>(operation: &'static str, value: &T) -> Result<String> {
    serde_json::to_string(value)
        .map_err(|e| BackendError::with_source(ErrorKind::Corrupt, operation, e))
}
