//! The connection to one server, shared by all requests to it, and replaced in the background when it breaks.
//!
//! While there is no connection, requests fail at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, InfoDict, RedisError, RedisResult};
use tokio::sync::{Notify, Semaphore, SemaphorePermit, watch};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::connector::Target;
use super::replicas::Replicas;
use super::request::{Request, RequestError};
use crate::redis::error;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(2);
/// How long the first requests after the start wait for a connection.
pub const STARTUP_TIMEOUT: Duration = Duration::from_secs(2);
const PING_INTERVAL: Duration = Duration::from_millis(500);
const MIN_RECONNECT_DELAY: Duration = Duration::from_millis(50);
const MAX_RECONNECT_DELAY: Duration = Duration::from_millis(250);
/// Requests in flight. Further ones wait for [`QUEUE_TIMEOUT`] and are then refused, before they would time out.
const MAX_REQUESTS: usize = 2_048;
const QUEUE_TIMEOUT: Duration = Duration::from_millis(250);

#[derive(Clone)]
enum State {
    Starting,
    Up(Up),
    Down,
}

#[derive(Clone)]
struct Up {
    generation: u64,
    connection: MultiplexedConnection,
    replicas: Arc<Replicas>,
}

pub struct ServerConnection {
    state: watch::Receiver<State>,
    broken: Arc<Broken>,
    permits: Semaphore,
    reconnecting: JoinHandle<()>,
}

/// The newest connection that requests have found broken.
#[derive(Default)]
struct Broken {
    generation: AtomicU64,
    changed: Notify,
}

impl Drop for ServerConnection {
    fn drop(&mut self) {
        self.reconnecting.abort();
    }
}

impl ServerConnection {
    /// Begins to connect; must be called inside a Tokio runtime. `disconnected` is notified each time that there
    /// is no connection any more.
    pub fn open(target: Target, wait_replicas: u32, disconnected: Arc<Notify>) -> Self {
        let (state_sender, state) = watch::channel(State::Starting);
        let broken = Arc::<Broken>::default();
        let reconnector = Reconnector {
            target,
            wait_replicas,
            state: state_sender,
            broken: Arc::clone(&broken),
            disconnected,
        };
        Self {
            state,
            broken,
            permits: Semaphore::new(MAX_REQUESTS),
            reconnecting: tokio::spawn(reconnector.run()),
        }
    }

    pub fn is_up(&self) -> bool {
        matches!(*self.state.borrow(), State::Up(_))
    }

    /// Sends a request once. Returns when as many replicas as are configured have what it wrote.
    pub async fn request<R: Request>(&self, request: &R) -> Result<R::Reply, RequestError> {
        let _permit = self.permit().await?;
        let mut up = self.wait_until_up().await?;
        let reply = request.send(&mut up.connection).await;
        let reply = reply.map_err(|error| self.failed(up.generation, error))?;
        if up.replicas.are_required() && request.must_replicate(&reply) {
            let enough = up.replicas.wait(&mut up.connection).await;
            if !enough.map_err(|error| self.failed(up.generation, error))? {
                return Err(RequestError::TooFewReplicas);
            }
        }
        Ok(reply)
    }

    fn failed(&self, generation: u64, error: RedisError) -> RequestError {
        if error::breaks_connection(&error) {
            self.broken
                .generation
                .fetch_max(generation, Ordering::AcqRel);
            self.broken.changed.notify_one();
        }
        RequestError::Redis(error)
    }

    async fn permit(&self) -> Result<SemaphorePermit<'_>, RequestError> {
        if let Ok(permit) = self.permits.try_acquire() {
            return Ok(permit);
        }
        match timeout(QUEUE_TIMEOUT, self.permits.acquire()).await {
            Ok(Ok(permit)) => Ok(permit),
            Ok(Err(_)) | Err(_) => Err(RequestError::NotSent("too many requests in flight")),
        }
    }

    async fn wait_until_up(&self) -> Result<Up, RequestError> {
        let mut state = self.state.borrow().clone();
        if matches!(state, State::Starting) {
            let mut started = self.state.clone();
            let started = started.wait_for(|state| !matches!(state, State::Starting));
            if let Ok(Ok(now)) = timeout(STARTUP_TIMEOUT, started).await {
                state = now.clone();
            }
        }
        match state {
            State::Up(up) => Ok(up),
            State::Starting | State::Down => Err(RequestError::NotSent("not connected")),
        }
    }
}

/// Time limits of connections.
pub fn connection_config() -> AsyncConnectionConfig {
    AsyncConnectionConfig::new()
        .set_connection_timeout(Some(CONNECT_TIMEOUT))
        .set_response_timeout(Some(RESPONSE_TIMEOUT))
        .set_pipeline_buffer_size(MAX_REQUESTS)
}

struct Reconnector {
    target: Target,
    wait_replicas: u32,
    state: watch::Sender<State>,
    broken: Arc<Broken>,
    disconnected: Arc<Notify>,
}

impl Reconnector {
    /// Connects, waits until the connection breaks, and connects again, for as long as it is polled.
    async fn run(self) {
        let config = connection_config();
        let mut generation = 0;
        let mut delay = MIN_RECONNECT_DELAY;
        let mut was_up = true;
        loop {
            match self.target.connect(&config).await {
                Ok((address, connection)) => {
                    generation += 1;
                    delay = MIN_RECONNECT_DELAY;
                    was_up = true;
                    tracing::info!(server.address = address, "connected to Redis");
                    self.state.send_replace(State::Up(Up {
                        generation,
                        connection: connection.clone(),
                        replicas: Arc::new(Replicas::new(self.wait_replicas)),
                    }));
                    warn_of_eviction(connection.clone(), &address).await;
                    wait_until_broken(connection, generation, &self.broken).await;
                    self.state.send_replace(State::Down);
                    self.disconnected.notify_one();
                    tracing::warn!(server.address = address, "the connection to Redis is lost");
                }
                Err(error) => {
                    self.state.send_replace(State::Down);
                    self.disconnected.notify_one();
                    if was_up {
                        was_up = false;
                        let target = &self.target;
                        tracing::error!(
                            exception.message = %error, server.address = %target,
                            "cannot connect to Redis; retrying until it answers"
                        );
                    }
                    sleep(delay).await;
                    delay = (delay * 2).min(MAX_RECONNECT_DELAY);
                }
            }
        }
    }
}

/// A Redis that may evict keys loses tokens. A server that does not answer `INFO` gives no warning.
async fn warn_of_eviction(mut connection: MultiplexedConnection, address: &str) {
    let mut info = redis::cmd("INFO");
    let info = info.arg("memory").query_async(&mut connection).await;
    let Ok(info) = info.map(|info: InfoDict| info) else {
        return;
    };
    let limit: u64 = info.get("maxmemory").unwrap_or_default();
    let policy: String = info.get("maxmemory_policy").unwrap_or_default();
    if limit > 0 && policy != "noeviction" {
        tracing::warn!(
            server.address = address,
            policy,
            "Redis may evict tokens when its memory is full: set `maxmemory-policy noeviction`"
        );
    }
}

/// Returns when a request has found the connection broken, or a ping fails.
async fn wait_until_broken(
    mut connection: MultiplexedConnection,
    generation: u64,
    broken: &Broken,
) {
    loop {
        tokio::select! {
            () = broken.changed.notified() => {
                if broken.generation.load(Ordering::Acquire) >= generation {
                    return;
                }
            }
            () = sleep(PING_INTERVAL) => {
                let ping: RedisResult<String> = redis::cmd("PING").query_async(&mut connection).await;
                if ping.is_err() {
                    return;
                }
            }
        }
    }
}
