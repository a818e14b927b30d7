//! Heartbeats. A node's open events are closed by others only when its heartbeat was missing for long enough.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use redis::{Cmd, FromRedisValue};

use crate::error::Result;
use crate::redis::{Inner, error, keys, millis};

const HEARTBEAT_TTL: Duration = Duration::from_secs(30);

/// Nodes that have open events and no heartbeat, and since when.
#[derive(Default)]
pub struct MissedHeartbeats(Mutex<HashMap<String, Instant>>);

impl MissedHeartbeats {
    /// After an outage of Redis every node has to be missed anew, for the whole time.
    pub fn clear(&self) {
        self.0.lock().clear();
    }

    /// Takes over the nodes that have no heartbeat now, and returns those that had none for `dead_after`.
    pub fn update(&self, missing: HashSet<String>, dead_after: Duration) -> Vec<String> {
        let mut missed = self.0.lock();
        missed.retain(|node, _| missing.contains(node));
        let now = Instant::now();
        let is_dead = |since: Instant| now.duration_since(since) >= dead_after;
        missing
            .into_iter()
            .filter(|node| is_dead(*missed.entry(node.clone()).or_insert(now)))
            .collect()
    }
}

impl Inner {
    /// Where this node cannot write its heartbeat, others may not be able to either.
    pub async fn write_heartbeat(&self) -> Result<()> {
        let ttl = |set: &mut Cmd| {
            set.arg(1).arg("PX").arg(millis(HEARTBEAT_TTL));
        };
        let written = self
            .on_heartbeat("redis.write_heartbeat", "SET", &self.node, ttl)
            .await;
        if written.is_err() {
            self.missed_heartbeats.clear();
        }
        written
    }

    /// Notes that this node uses the store: exports and imports refuse to begin.
    pub async fn note_node(&self) -> Result<()> {
        let call = self.scripts.note_node.on(keys::FIRST_PARTITION);
        let call = call.arg(&self.node).arg(millis(HEARTBEAT_TTL));
        call.run(&self.connection).await.map(drop)
    }

    async fn forget_node(&self) -> Result<()> {
        let partition = keys::FIRST_PARTITION;
        let mut remove = redis::cmd("ZREM");
        remove
            .arg(keys::key(partition, keys::NODES))
            .arg(&self.node);
        let reply = self.connection.request(partition, &remove).await;
        reply
            .map(drop)
            .map_err(|error| error.of("redis.forget_node"))
    }

    /// This node stops: others may close its open events.
    pub async fn sign_off(&self) -> Result<()> {
        self.forget_node().await?;
        self.on_heartbeat("redis.sign_off", "DEL", &self.node, |_| {})
            .await
    }

    pub async fn has_heartbeat(&self, node: &str) -> Result<bool> {
        if node == self.node {
            return Ok(true);
        }
        self.on_heartbeat("redis.has_heartbeat", "EXISTS", node, |_| {})
            .await
    }

    async fn on_heartbeat<T: FromRedisValue>(
        &self,
        operation: &'static str,
        command: &'static str,
        node: &str,
        arguments: impl FnOnce(&mut Cmd),
    ) -> Result<T> {
        let (partition, key) = keys::heartbeat(node);
        let mut command = redis::cmd(command);
        arguments(command.arg(key));
        let reply = self.connection.request(partition, &command).await;
        let reply = reply.map_err(|error| error.of(operation))?;
        redis::from_redis_value(reply).map_err(|e| error::failed(operation, e.into()))
    }
}
