//! Repeats commits, releases, undos and deletions that Redis has not answered, until it does.
//!
//! An undo takes back a `reserve` whose reply was lost. Tokens that a failed `create` may have written are deleted here, too.
//!
//! Redis remembers the call id of each for a minute, so that a repeated one counts once. What counts once without it is
//! retried until Redis answers, however long that takes. A leased hit is free again when its lease lapses, and is then
//! not reported.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::commit_or_release::CommitOrRelease;
use crate::caller::ClientKey;
use crate::error::{BackendError, ErrorKind, Result};
use crate::event::EventId;
use crate::redis::scripts::{Reply, ScriptCall};
use crate::redis::{Inner, keys};
use crate::token_store::TokenId;

/// How long a store that is closed waits for the queue.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(3);
const SHUTDOWN_RETRY_DELAY: Duration = Duration::from_millis(250);
/// Operations beyond it are dropped when Redis has forgotten their call ids. At 2 KiB each these take 128 MiB, and are
/// more than 10,000 connections have in flight with few requests on each.
const RETRY_QUEUE_CAPACITY: usize = 65_536;

pub enum Operation {
    CommitOrRelease(CommitOrRelease),
    /// A `reserve` whose reply was lost.
    UndoReserve {
        token_id: TokenId,
        /// Call id of the `reserve`.
        reserve_id: u64,
        client: ClientKey,
        event: EventId,
        call_id: u64,
    },
    /// A token that a failed `create` has written, or may have.
    DeleteCreated {
        token_id: TokenId,
        incarnation: u64,
        call_id: u64,
    },
}

impl Operation {
    fn token_id(&self) -> TokenId {
        match self {
            Self::CommitOrRelease(operation) => operation.token_id,
            Self::UndoReserve { token_id, .. } | Self::DeleteCreated { token_id, .. } => *token_id,
        }
    }

    fn call<'a>(&self, store: &'a Inner) -> ScriptCall<'a> {
        match self {
            Self::CommitOrRelease(operation) => operation.call(store),
            Self::UndoReserve {
                token_id,
                reserve_id,
                client,
                event,
                call_id,
            } => store
                .scripts
                .undo_reserve
                .on_token(*token_id)
                .arg(keys::hex(*reserve_id))
                .arg(hex::encode(client))
                .arg(&store.node)
                .arg(event.as_str())
                .arg(keys::hex(*call_id)),
            Self::DeleteCreated {
                token_id,
                incarnation,
                call_id,
            } => store
                .scripts
                .delete
                .on_token(*token_id)
                .arg(keys::hex(*incarnation))
                .arg(keys::hex(*call_id)),
        }
    }

    /// What can still be repeated when Redis has forgotten the call id.
    fn after_call_id_expiry(self) -> Option<Self> {
        match self {
            Self::CommitOrRelease(operation) => {
                operation.after_call_id_expiry().map(Self::CommitOrRelease)
            }
            // The second run finds nothing to undo or delete.
            repeatable @ (Self::UndoReserve { .. } | Self::DeleteCreated { .. }) => {
                Some(repeatable)
            }
        }
    }

    fn finish(&self, store: &Inner, reply: Reply) -> Result<()> {
        match self {
            Self::CommitOrRelease(operation) => operation.finish(store, reply).map(drop),
            Self::UndoReserve { .. } | Self::DeleteCreated { .. } => Ok(()),
        }
    }
}

/// How many operations are in the queue. Each is a task of its own.
#[derive(Default)]
pub struct RetryQueue {
    len: Arc<AtomicUsize>,
    /// Set when the store is closed: until when it waits for them.
    deadline: watch::Sender<Option<Instant>>,
}

/// Counts as an operation in the queue until it is dropped.
pub struct Entry {
    len: Arc<AtomicUsize>,
    deadline: watch::Receiver<Option<Instant>>,
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.len.fetch_sub(1, Ordering::AcqRel);
    }
}

impl RetryQueue {
    pub fn enter(&self) -> Entry {
        self.len.fetch_add(1, Ordering::AcqRel);
        Entry {
            len: Arc::clone(&self.len),
            deadline: self.deadline.subscribe(),
        }
    }

    pub fn len(&self) -> usize {
        self.len.load(Ordering::Acquire)
    }
}

impl Entry {
    /// Waits before the next retry, for a shorter time once the store is being closed. `false`: there is no time for
    /// another one.
    async fn wait(&mut self, delay: Duration) -> bool {
        let deadline = *self.deadline.borrow();
        match deadline {
            None => match tokio::time::timeout(delay, self.deadline.changed()).await {
                Ok(changed) => changed.is_ok(),
                Err(_) => true,
            },
            Some(deadline) => {
                tokio::time::sleep(delay.min(SHUTDOWN_RETRY_DELAY)).await;
                Instant::now() < deadline
            }
        }
    }
}

impl Inner {
    pub fn retry_in_background(self: &Arc<Self>, operation: Operation) {
        let entry = self.retry_queue.enter();
        let delays_ms = self.timeouts.retry_delays_ms;
        tokio::spawn(retry(Arc::downgrade(self), entry, operation, delays_ms));
    }

    /// Runs an operation, and retries it in the background where Redis is away. The caller gets the error all the same.
    pub async fn run_or_retry(self: &Arc<Self>, operation: Operation) -> Result<()> {
        let result = self.run(&operation).await;
        if result.as_ref().is_err_and(is_unavailable) {
            self.retry_in_background(operation);
        }
        result
    }

    async fn run(&self, operation: &Operation) -> Result<()> {
        operation.finish(self, operation.call(self).run(&self.connection).await?)
    }

    pub async fn drain_retry_queue(&self) {
        let deadline = Instant::now() + SHUTDOWN_GRACE;
        self.retry_queue.deadline.send_replace(Some(deadline));
        while self.retry_queue.len() > 0 && Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let left = self.retry_queue.len();
        if left > 0 {
            tracing::error!(left, "Redis is away: commits and releases are lost");
        }
    }
}

fn is_unavailable(error: &BackendError) -> bool {
    error.kind == ErrorKind::Unavailable
}

/// Holds the store only during a try, so that a store that is dropped without `close` is gone.
async fn retry(store: Weak<Inner>, mut entry: Entry, mut operation: Operation, delays_ms: &[u64]) {
    let mut tries = 0;
    loop {
        if tries == delays_ms.len() {
            let token_id = operation.token_id();
            let has_capacity = entry.len.load(Ordering::Acquire) <= RETRY_QUEUE_CAPACITY;
            match operation.after_call_id_expiry().filter(|_| has_capacity) {
                Some(repeatable) => operation = repeatable,
                None => {
                    tracing::error!(%token_id, "not written: Redis was away for too long");
                    return;
                }
            }
        }
        let delay_ms = delays_ms.get(tries).or(delays_ms.last());
        let delay = Duration::from_millis(delay_ms.copied().unwrap_or_default());
        if !entry.wait(delay).await {
            return;
        }
        let Some(store) = store.upgrade() else { return };
        match store.run(&operation).await {
            Ok(()) => return,
            Err(error) if is_unavailable(&error) => {}
            Err(error) => {
                tracing::error!(exception.message = %error, token_id = %operation.token_id(), "not written");
                return;
            }
        }
        // Tries while the store is closed come too fast to measure the outage by.
        tries += usize::from(entry.deadline.borrow().is_none());
    }
}
