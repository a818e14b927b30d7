//! Signs of life: what a node has left open is for others to end only when it is dead.

use std::time::Duration;

use redis::{Cmd, FromRedisValue};

use crate::error::Result;
use crate::redis::{Inner, error, keys, millis};

const ALIVE_FOR: Duration = Duration::from_secs(30);

impl Inner {
    /// Says that this node lives. Where that is not heard, others may not be heard either.
    pub async fn show_life(&self) -> Result<()> {
        let sign = |set: &mut Cmd| {
            set.arg(1).arg("PX").arg(millis(ALIVE_FOR));
        };
        let shown = self
            .on_sign("redis.show_life", "SET", &self.owner, sign)
            .await;
        if shown.is_err() {
            self.hear_anew();
        }
        shown
    }

    /// Redis was away: who was missed before has to be missed anew, for the whole time.
    pub fn hear_anew(&self) {
        self.missed.lock().clear();
    }

    /// Notes that this node uses the store: nobody may export it, or import into it.
    pub async fn note_node(&self) -> Result<()> {
        let call = self.scripts.note_node.on(keys::NODES);
        let call = call.arg(&self.owner).arg(millis(ALIVE_FOR));
        call.run(&self.link).await.map(drop)
    }

    async fn forget_node(&self) -> Result<()> {
        let mut command = redis::cmd("ZREM");
        command.arg(format!("{}nodes", keys::prefix(keys::NODES)));
        let answer = self.link.call(keys::NODES, command.arg(&self.owner)).await;
        answer
            .map(drop)
            .map_err(|failure| failure.of("redis.forget_node"))
    }

    /// What this node has not ended is for others to end.
    pub async fn end_life(&self) -> Result<()> {
        self.forget_node().await?;
        self.on_sign("redis.end_life", "DEL", &self.owner, |_| {})
            .await
    }

    pub async fn is_alive(&self, owner: &str) -> Result<bool> {
        if owner == self.owner {
            return Ok(true);
        }
        self.on_sign("redis.is_alive", "EXISTS", owner, |_| {})
            .await
    }

    async fn on_sign<T: FromRedisValue>(
        &self,
        operation: &'static str,
        word: &'static str,
        owner: &str,
        arguments: impl FnOnce(&mut Cmd),
    ) -> Result<T> {
        let (partition, key) = keys::owner(owner);
        let mut command = redis::cmd(word);
        arguments(command.arg(key));
        let answer = self.link.call(partition, &command).await;
        let answer = answer.map_err(|failure| failure.of(operation))?;
        redis::from_redis_value(answer).map_err(|e| error::failed(operation, e.into()))
    }
}
