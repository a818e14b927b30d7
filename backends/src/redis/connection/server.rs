//! The connection to one server: many calls share it, and it is made anew in the background when it
//! breaks.
//!
//! While there is none, calls fail at once: nobody waits for a Redis that is away.

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
use super::request::Ask;
use crate::error::BackendError;
use crate::redis::error;

const CONNECT: Duration = Duration::from_secs(1);
const RESPONSE: Duration = Duration::from_secs(2);
/// How long the first calls after the start wait for a connection.
pub const FIRST: Duration = Duration::from_secs(2);
const PING_EVERY: Duration = Duration::from_millis(500);
const RETRY_FIRST: Duration = Duration::from_millis(50);
const RETRY_LAST: Duration = Duration::from_millis(250);
/// Calls under way; past it they queue for a moment and are then refused, before they time out.
const MAX_CALLS: usize = 2_048;
const QUEUE_FOR: Duration = Duration::from_millis(250);

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

/// Why a call has no answer.
#[derive(Debug)]
pub enum Failure {
    /// It was not made.
    Away(&'static str),
    /// It was done, and too few replicas have it.
    Unreplicated,
    Redis(RedisError),
}

impl Failure {
    pub fn may_have_run(&self) -> bool {
        match self {
            Self::Away(_) => false,
            Self::Unreplicated => true,
            Self::Redis(error) => !error::is_refusal(error),
        }
    }

    pub fn of(self, operation: &'static str) -> BackendError {
        match self {
            Self::Away(why) => error::away(operation, why),
            Self::Unreplicated => error::away(operation, "too few replicas have the write"),
            Self::Redis(error) => error::failed(operation, error),
        }
    }
}

/// The way to one server.
pub struct Line {
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

impl Drop for Line {
    fn drop(&mut self) {
        self.keeper.abort();
    }
}

impl Line {
    /// Begins to connect; must be called inside a Tokio runtime. `lost` is told of each connection
    /// that breaks.
    pub fn open(target: Target, wait_replicas: u32, lost: Arc<Notify>) -> Self {
        let (tell, state) = watch::channel(State::Starting);
        let broken = Arc::<Broken>::default();
        let keeper = Keeper {
            target,
            wait_replicas,
            tell,
            broken: Arc::clone(&broken),
            lost,
        };
        Self {
            state,
            broken,
            calls: Semaphore::new(MAX_CALLS),
            keeper: tokio::spawn(keeper.keep()),
        }
    }

    pub fn is_up(&self) -> bool {
        matches!(*self.state.borrow(), State::Up(_))
    }

    /// It is done once: what broke under way is not tried again. What it wrote the replicas that are
    /// wanted have, too.
    pub async fn call<A: Ask>(&self, call: &A) -> Result<A::Answer, Failure> {
        let _permit = self.permit().await?;
        let mut up = self.up().await?;
        let answer = call.send(&mut up.connection).await;
        let answer = answer.map_err(|error| self.failed(up.generation, error))?;
        if up.replicas.are_wanted() && call.wrote(&answer) {
            let have = up.replicas.wait(&mut up.connection).await;
            if !have.map_err(|error| self.failed(up.generation, error))? {
                return Err(Failure::Unreplicated);
            }
        }
        Ok(answer)
    }

    fn failed(&self, generation: u64, error: RedisError) -> Failure {
        if error::ends_connection(&error) {
            self.broken
                .generation
                .fetch_max(generation, Ordering::AcqRel);
            self.broken.changed.notify_one();
        }
        Failure::Redis(error)
    }

    async fn permit(&self) -> Result<SemaphorePermit<'_>, Failure> {
        if let Ok(permit) = self.calls.try_acquire() {
            return Ok(permit);
        }
        match timeout(QUEUE_FOR, self.calls.acquire()).await {
            Ok(Ok(permit)) => Ok(permit),
            Ok(Err(_)) | Err(_) => Err(Failure::Away("too many calls under way")),
        }
    }

    async fn up(&self) -> Result<Up, Failure> {
        let mut state = self.state.borrow().clone();
        if matches!(state, State::Starting) {
            let mut started = self.state.clone();
            let started = started.wait_for(|state| !matches!(state, State::Starting));
            if let Ok(Ok(now)) = timeout(FIRST, started).await {
                state = now.clone();
            }
        }
        match state {
            State::Up(up) => Ok(up),
            State::Starting | State::Down => Err(Failure::Away("not connected")),
        }
    }
}

/// How connections are made.
pub fn settings() -> AsyncConnectionConfig {
    AsyncConnectionConfig::new()
        .set_connection_timeout(Some(CONNECT))
        .set_response_timeout(Some(RESPONSE))
        .set_pipeline_buffer_size(MAX_CALLS)
}

struct Keeper {
    target: Target,
    wait_replicas: u32,
    tell: watch::Sender<State>,
    broken: Arc<Broken>,
    lost: Arc<Notify>,
}

impl Keeper {
    /// Connects, watches, and connects again, for as long as it is polled.
    async fn keep(self) {
        let config = settings();
        let mut generation = 0;
        let mut pause = RETRY_FIRST;
        let mut was_up = true;
        loop {
            match self.target.connect(&config).await {
                Ok((address, connection)) => {
                    generation += 1;
                    pause = RETRY_FIRST;
                    was_up = true;
                    tracing::info!(server.address = address, "connected to Redis");
                    self.tell.send_replace(State::Up(Up {
                        generation,
                        connection: connection.clone(),
                        replicas: Arc::new(Replicas::new(self.wait_replicas)),
                    }));
                    warn_of_eviction(connection.clone(), &address).await;
                    watch(connection, generation, &self.broken).await;
                    self.tell.send_replace(State::Down);
                    self.lost.notify_one();
                    tracing::warn!(server.address = address, "the connection to Redis is lost");
                }
                Err(error) => {
                    self.tell.send_replace(State::Down);
                    self.lost.notify_one();
                    if was_up {
                        was_up = false;
                        let to = &self.target;
                        tracing::error!(
                            exception.message = %error, server.address = %to,
                            "cannot connect to Redis; trying until it answers"
                        );
                    }
                    sleep(pause).await;
                    pause = (pause * 2).min(RETRY_LAST);
                }
            }
        }
    }
}

/// A Redis that may throw keys away throws tokens away. One that does not let us look is believed.
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
            "Redis may throw tokens away when its memory is full: set `maxmemory-policy noeviction`"
        );
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
