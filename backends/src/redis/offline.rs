//! Export and import of the whole store.
//!
//! - `export`: reads the partitions, one kind of entries after the other.
//! - `import`: writes entries of an archive.

mod export;
mod import;

use async_trait::async_trait;
use redis::Value;
use tokio::sync::mpsc;

use super::connection::Connection;
use super::scripts::{Scripts, decode};
use super::{error, json, keys};
use crate::error::{ErrorKind, Result};
use crate::settings::RedisSettings;
use crate::transfer::{ImportMarker, OfflineStore, Page};

/// A Redis that no gateway uses. It writes no heartbeat.
pub struct OfflineRedis {
    connection: Connection,
    scripts: Scripts,
}

impl OfflineRedis {
    /// Begins to connect; must be called inside a Tokio runtime.
    pub fn open(settings: &RedisSettings) -> Result<Self> {
        Ok(Self {
            connection: Connection::open_offline(settings)?,
            scripts: Scripts::new(),
        })
    }

    /// `GET`, `SET` or `DEL` of the import's marker.
    async fn on_marker(&self, command: &str, value: Option<&str>) -> Result<Value> {
        let partition = keys::FIRST_PARTITION;
        let mut command = redis::cmd(command);
        command
            .arg(keys::key(partition, keys::IMPORT_MARKER))
            .arg(value);
        let reply = self.connection.request(partition, &command).await;
        reply.map_err(|error| error.of("redis.import_marker"))
    }
}

/// Refuses a Redis that holds an unfinished import. One that does not answer is not refused: the connection looks again
/// before its first request.
pub async fn refuse_unfinished_import(settings: &RedisSettings) -> Result<()> {
    match OfflineRedis::open(settings)?.import_marker().await {
        Ok(Some(marker)) => Err(error::unavailable("redis.open", marker.refusal())),
        Ok(None) => Ok(()),
        Err(error) if error.kind == ErrorKind::Corrupt => Err(error),
        Err(_) => Ok(()),
    }
}

#[async_trait]
impl OfflineStore for OfflineRedis {
    fn engine(&self) -> &'static str {
        "redis"
    }

    async fn live_nodes(&self) -> Result<u64> {
        let call = self.scripts.count_nodes.on(keys::FIRST_PARTITION);
        call.run(&self.connection).await?.number()
    }

    async fn import_marker(&self) -> Result<Option<ImportMarker>> {
        match self.on_marker("GET", None).await? {
            Value::Nil => Ok(None),
            Value::BulkString(json) => decode::from_json(&String::from_utf8_lossy(&json)).map(Some),
            other => Err(error::corrupt("redis.import_marker", format!("{other:?}"))),
        }
    }

    async fn is_empty(&self) -> Result<bool> {
        for partition in keys::all_partitions() {
            let call = self.scripts.is_empty.on(partition);
            if call.run(&self.connection).await?.number()? == 0 {
                return Ok(false);
            }
        }
        Ok(true)
    }

    async fn begin_import(&self, marker: &ImportMarker) -> Result<()> {
        let marker = json("redis.begin_import", marker)?;
        self.on_marker("SET", Some(&marker)).await.map(drop)
    }

    async fn end_import(&self) -> Result<()> {
        self.on_marker("DEL", None).await.map(drop)
    }

    async fn dump(&self, pages: mpsc::Sender<Page>) -> Result<()> {
        self.dump_to(&pages).await
    }

    async fn load(&self, page: Page) -> Result<()> {
        self.load_page(page).await
    }
}
