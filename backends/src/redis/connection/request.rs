//! What is sent to a server.

use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::{Cmd, RedisResult, Value};

/// A call, sent as often as servers send it on.
pub trait Ask: Sync {
    type Answer: Send;

    fn send(
        &self,
        to: &mut MultiplexedConnection,
    ) -> impl Future<Output = RedisResult<Self::Answer>> + Send;

    /// Something was written that somebody counts on: replicas have to have it.
    fn wrote(&self, answer: &Self::Answer) -> bool;
}

/// Commands that write nothing of the kind.
impl Ask for Cmd {
    type Answer = Value;

    async fn send(&self, to: &mut MultiplexedConnection) -> RedisResult<Value> {
        to.req_packed_command(self).await?.extract_error()
    }

    fn wrote(&self, _: &Value) -> bool {
        false
    }
}
