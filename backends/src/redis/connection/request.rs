//! What is sent to a server, and why it may have no reply.

use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::{Cmd, RedisError, RedisResult, Value};

use crate::error::BackendError;
use crate::redis::error;

/// A command or a script. It can be sent several times, where a cluster redirects it.
pub trait Request: Sync {
    type Reply: Send;

    fn send(
        &self,
        to: &mut MultiplexedConnection,
    ) -> impl Future<Output = RedisResult<Self::Reply>> + Send;

    /// The request has written something that replicas must have before the caller goes on.
    fn must_replicate(&self, reply: &Self::Reply) -> bool;
}

/// Single commands write only what may be lost.
impl Request for Cmd {
    type Reply = Value;

    async fn send(&self, to: &mut MultiplexedConnection) -> RedisResult<Value> {
        to.req_packed_command(self).await?.extract_error()
    }

    fn must_replicate(&self, _: &Value) -> bool {
        false
    }
}

/// Why a request has no reply.
#[derive(Debug)]
pub enum RequestError {
    NotSent(&'static str),
    /// It was carried out, but too few replicas have what it wrote.
    TooFewReplicas,
    Redis(RedisError),
}

impl RequestError {
    pub fn may_have_run(&self) -> bool {
        match self {
            Self::NotSent(_) => false,
            Self::TooFewReplicas => true,
            Self::Redis(error) => !error::is_refusal(error),
        }
    }

    /// As the failure of `operation`.
    pub fn of(self, operation: &'static str) -> BackendError {
        match self {
            Self::NotSent(reason) => error::unavailable(operation, reason),
            Self::TooFewReplicas => {
                error::unavailable(operation, "too few replicas have the write")
            }
            Self::Redis(error) => error::failed(operation, error),
        }
    }
}
