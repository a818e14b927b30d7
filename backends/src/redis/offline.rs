//! The store in Redis as a whole, for exports and imports.

mod export;
mod import;

use async_trait::async_trait;
use redis::Value;
use tokio::sync::mpsc;

use super::connection::Link;
use super::scripts::Scripts;
use super::scripts::decode;
use super::{error, json, keys};
use crate::error::{ErrorKind, Result};
use crate::settings::RedisSettings;
use crate::transfer::{ImportMarker, OfflineStore, Page};

/// A Redis that no gateway uses. It shows no heartbeat of its own.
pub struct OfflineRedis {
    link: Link,
    scripts: Scripts,
}

impl OfflineRedis {
    /// Begins to connect; must be called inside a Tokio runtime.
    pub fn open(settings: &RedisSettings) -> Result<Self> {
        Ok(Self {
            link: Link::open_offline(settings)?,
            scripts: Scripts::new(),
        })
    }

    async fn marker(&self, command: &str, value: Option<&str>) -> Result<Value> {
        let (partition, key) = keys::import();
        let mut command = redis::cmd(command);
        command.arg(key).arg(value);
        let answer = self.link.call(partition, &command).await;
        answer.map_err(|failure| failure.of("redis.import_marker"))
    }
}

/// Refuses a Redis that holds the first part of an import. One that does not answer is not refused:
/// the store looks again before its first call.
pub async fn refuse_half_imported(settings: &RedisSettings) -> Result<()> {
    match OfflineRedis::open(settings)?.import_marker().await {
        Ok(Some(marker)) => Err(error::half_imported(marker.refusal())),
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
        let call = self.scripts.count_nodes.on(keys::NODES);
        call.run(&self.link).await?.number()
    }

    async fn import_marker(&self) -> Result<Option<ImportMarker>> {
        match self.marker("GET", None).await? {
            Value::Nil => Ok(None),
            Value::BulkString(json) => decode::from_json(&String::from_utf8_lossy(&json)).map(Some),
            other => Err(error::corrupt("redis.import_marker", format!("{other:?}"))),
        }
    }

    async fn is_empty(&self) -> Result<bool> {
        for partition in keys::all_partitions() {
            let call = self.scripts.is_empty.on(partition);
            if call.run(&self.link).await?.number()? == 0 {
                return Ok(false);
            }
        }
        Ok(true)
    }

    async fn begin_import(&self, marker: &ImportMarker) -> Result<()> {
        let marker = json("redis.begin_import", marker)?;
        self.marker("SET", Some(&marker)).await.map(drop)
    }

    async fn end_import(&self) -> Result<()> {
        self.marker("DEL", None).await.map(drop)
    }

    async fn dump(&self, pages: mpsc::Sender<Page>) -> Result<()> {
        self.dump_to(&pages).await
    }

    async fn load(&self, page: Page) -> Result<()> {
        self.load_page(page).await
    }
}
