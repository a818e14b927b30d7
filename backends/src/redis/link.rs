//! The connection: one that many calls share, made anew in the background when it breaks.
//!
//! While there is none, calls fail at once: nobody waits for a Redis that is away.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, FromRedisValue, RedisResult};
use tokio::sync::{Notify, Semaphore, SemaphorePermit, watch};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::connect::Target;
use super::error;
use crate::error::Result;

const CONNECT: Duration = Duration::from_secs(1);
const RESPONSE: Duration = Duration::from_secs(2);
/// How long the first calls after the start wait for a connection.
const FIRST: Duration = Duration::from_secs(2);
const PING_EVERY: Duration = Duration::from_millis(500);
const RETRY_FIRST: Duration = Duration::from_millis(50);
const RETRY_LAST: Duration = Duration::from_secs(1);
/// Calls under way; past it they queue for a moment and are then refused, before they time out.
const MAX_CALLS: usize = 2_048;
const QUEUE_FOR: Duration = Duration::from_millis(250);

#[derive(Clone)]
enum State {
    Starting,
    Up {
        generation: u64,
        connection: MultiplexedConnection,
    },
    Down,
}

/// The way to one Redis.
pub struct Link {
    state: watch::Receiver<State>,
    broken: Arc<Broken>,
    calls: Semaphore,
    keeper: JoinHandle<()>,
}

/// Tells the keeper which connection is of no use any more.
#[derive(Default)]
struct Broken {
    generation: AtomicU64,
    changed: Notify,
}

impl Drop for Link {
    fn drop(&mut self) {
        self.keeper.abort();
    }
}

impl Link {
    /// Begins to connect; must be called inside a Tokio runtime.
    pub fn open(target: Target) -> Self {
        let (tell, state) = watch::channel(State::Starting);
        let broken = Arc::<Broken>::default();
        Self {
            state,
            keeper: tokio::spawn(keep(target, tell, Arc::clone(&broken))),
            broken,
            calls: Semaphore::new(MAX_CALLS),
        }
    }

    /// Does `call` on the connection. It is done once: what broke under way is not tried again.
    pub async fn call<T: FromRedisValue>(
        &self,
        operation: &'static str,
        call: impl AsyncFnOnce(&mut MultiplexedConnection) -> RedisResult<T>,
    ) -> Result<T> {
        let _permit = self.permit(operation).await?;
        let (generation, mut connection) = self.connection(operation).await?;
        call(&mut connection).await.map_err(|error| {
            if error::ends_connection(&error) {
                self.broken
                    .generation
                    .fetch_max(generation, Ordering::AcqRel);
                self.broken.changed.notify_one();
            }
            error::failed(operation, error)
        })
    }

    async fn permit(&self, operation: &'static str) -> Result<SemaphorePermit<'_>> {
        if let Ok(permit) = self.calls.try_acquire() {
            return Ok(permit);
        }
        match timeout(QUEUE_FOR, self.calls.acquire()).await {
            Ok(Ok(permit)) => Ok(permit),
            Ok(Err(_)) | Err(_) => Err(error::away(operation, "too many calls under way")),
        }
    }

    async fn connection(&self, operation: &'static str) -> Result<(u64, MultiplexedConnection)> {
        let mut state = self.state.borrow().clone();
        if matches!(state, State::Starting) {
            let mut started = self.state.clone();
            let started = started.wait_for(|state| !matches!(state, State::Starting));
            if let Ok(Ok(now)) = timeout(FIRST, started).await {
                state = now.clone();
            }
        }
        match state {
            State::Up {
                generation,
                connection,
            } => Ok((generation, connection)),
            State::Starting | State::Down => Err(error::away(operation, "not connected")),
        }
    }
}

/// Connects, watches, and connects again, for as long as it is polled.
async fn keep(target: Target, tell: watch::Sender<State>, broken: Arc<Broken>) {
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(CONNECT))
        .set_response_timeout(Some(RESPONSE))
        .set_pipeline_buffer_size(MAX_CALLS);
    let mut generation = 0;
    let mut pause = RETRY_FIRST;
    let mut was_up = true;
    loop {
        match target.connect(&config).await {
            Ok((address, connection)) => {
                generation += 1;
                pause = RETRY_FIRST;
                was_up = true;
                tracing::info!(address, "connected to Redis");
                tell.send_replace(State::Up {
                    generation,
                    connection: connection.clone(),
                });
                watch(connection, generation, &broken).await;
                tell.send_replace(State::Down);
                tracing::warn!("the connection to Redis is lost");
            }
            Err(error) => {
                tell.send_replace(State::Down);
                if was_up {
                    was_up = false;
                    tracing::error!(%error, "cannot connect to Redis; trying until it answers");
                }
                sleep(pause).await;
                pause = (pause * 2).min(RETRY_LAST);
            }
        }
    }
}

/// Returns when the connection is of no use any more: a call says so, or a ping.
async fn watch(mut connection: MultiplexedConnection, generation: u64, broken: &Broken) {
    loop {
        tokio::select! {
            () = broken.changed.notified() => {
                if broken.generation.load(Ordering::Acquire) >= generation {
                    return;
                }
            }
            () = sleep(PING_EVERY) => {
                let ping: RedisResult<String> = redis::cmd("PING").query_async(&mut connection).await;
                if ping.is_err() {
                    return;
                }
            }
        }
    }
}
