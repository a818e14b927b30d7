//! The writer thread: writes and flushes for all waiters, and reopens the database after an outage.
//!
//! sled refuses every write after the first failed one, until the database is reopened. An outage
//! therefore ends in three steps: a probe file shows that the disk has room, the database is closed
//! and reopened, and all writes that the disk may lack are repeated from the write-behind buffer.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::Shared;
use super::database::{Database, check_free_space};
use crate::error::{BackendError, ErrorKind, Result};

/// Receives whether everything that was applied before the request is on disk.
pub type Waiter = oneshot::Sender<Result<()>>;

/// Pause between two attempts to end an outage.
const REOPEN_INTERVAL: Duration = Duration::from_millis(500);
/// Pause between two checks whether sled has stopped.
const WATCH_INTERVAL: Duration = Duration::from_millis(500);

/// Writes and flushes once for all waiters, until the store is dropped.
pub fn run(shared: &Shared, requests: &mpsc::Receiver<Waiter>) {
    let mut waiting = Vec::new();
    while let Ok(first) = requests.recv() {
        waiting.push(first);
        waiting.extend(requests.try_iter());
        match shared.write() {
            Ok(()) => waiting.drain(..).for_each(|waiter| {
                // A waiter that is gone does not need the answer.
                let _ = waiter.send(Ok(()));
            }),
            Err(reason) => {
                shared.begin_outage(&reason);
                waiting.drain(..).for_each(refuse);
                if wait_for_recovery(shared, requests).is_err() {
                    break;
                }
            }
        }
    }
    // Writes without a waiter.
    if shared.write().is_err() && shared.reopen().is_err() {
        let keys = shared.buffer.read().len();
        tracing::error!(keys, "lost the last writes; none was acknowledged");
    }
}

/// The store was dropped.
struct Closed;

/// Retries until a write succeeds. Requests are refused at once meanwhile.
fn wait_for_recovery(shared: &Shared, requests: &mpsc::Receiver<Waiter>) -> Result<(), Closed> {
    let mut last = String::new();
    loop {
        let next = Instant::now() + REOPEN_INTERVAL;
        loop {
            let left = next.saturating_duration_since(Instant::now());
            match requests.recv_timeout(left) {
                Ok(waiter) => refuse(waiter),
                Err(mpsc::RecvTimeoutError::Disconnected) => return Err(Closed),
                Err(mpsc::RecvTimeoutError::Timeout) => break,
            }
        }
        match shared.reopen() {
            Ok(()) => {
                shared.end_outage();
                return Ok(());
            }
            Err(reason) if reason != last => {
                tracing::warn!(
                    exception.message = reason,
                    "the token store still cannot be written"
                );
                last = reason;
            }
            Err(_) => {}
        }
    }
}

fn refuse(waiter: Waiter) {
    let _ = waiter.send(Err(outage_error()));
}

/// The error of calls during an outage; the log has its reason once.
pub fn outage_error() -> BackendError {
    let text = "the token store cannot be written";
    BackendError::with_source(ErrorKind::Unavailable, "sled.write", text)
}

/// Wakes flushes that wait for a failed write, until `stop`.
pub fn watch(shared: &Shared, stop: &AtomicBool) {
    while !stop.load(Ordering::Acquire) {
        std::thread::park_timeout(WATCH_INTERVAL);
        if let Some(database) = &*shared.database.read()
            && database.global_error().is_some()
        {
            database.wake_flush();
        }
    }
}

impl Shared {
    /// Writes and flushes the buffer: all of it or nothing, also if the process dies. Called by one
    /// thread. The error is for the log.
    fn write(&self) -> Result<(), String> {
        let writes = self.buffer.write().begin_write();
        // A panic in sled counts as an error: either way the database is reopened.
        let written = catch_unwind(AssertUnwindSafe(|| {
            let database = self.database.read();
            let Some(database) = &*database else {
                return Err("the database is not open".to_owned());
            };
            apply(&database.tree, writes)
                .and_then(|()| database.flush())
                .map_err(|error| error.to_string())
        }));
        written.unwrap_or_else(|_| Err("sled panicked".to_owned()))?;
        self.buffer.write().finish_write();
        Ok(())
    }

    /// Reopens the database if the disk has room, and writes what the disk may lack.
    fn reopen(&self) -> Result<(), String> {
        check_free_space(&self.folder).map_err(|error| error.to_string())?;
        let stopped = self.database.write().take();
        // Dropped outside the lock, because it waits for sled's threads.
        if catch_unwind(AssertUnwindSafe(|| drop(stopped))).is_err() {
            tracing::error!("sled panicked while it was closing");
        }
        let opened = catch_unwind(AssertUnwindSafe(|| Database::reopen(&self.folder)))
            .map_err(|_| "sled panicked".to_owned())?
            .map_err(|error| error.to_string())?;
        *self.database.write() = Some(opened);
        self.write()
    }

    fn begin_outage(&self, reason: &str) {
        self.outage.store(true, Ordering::Release);
        tracing::error!(
            exception.message = reason,
            file.path = %self.folder.display(),
            "the token store cannot be written: requests that need a write get 503 until it can"
        );
    }

    fn end_outage(&self) {
        self.outage.store(false, Ordering::Release);
        tracing::info!("the token store can be written again");
    }
}

fn apply(tree: &sled::Tree, mut writes: Vec<super::Write>) -> sled::Result<()> {
    match (writes.pop(), writes.is_empty()) {
        (None, _) => {}
        // A single write needs no batch.
        (Some((key, Some(value))), true) => drop(tree.insert(key, value)?),
        (Some((key, None)), true) => drop(tree.remove(key)?),
        (Some(last), false) => {
            let mut batch = sled::Batch::default();
            for (key, value) in writes.into_iter().chain([last]) {
                match value {
                    Some(value) => batch.insert(key, value),
                    None => batch.remove(key),
                }
            }
            tree.apply_batch(batch)?;
        }
    }
    Ok(())
}

/// Starts a named thread of the store.
pub fn spawn(
    name: &str,
    shared: &Arc<Shared>,
    work: impl FnOnce(&Shared) + Send + 'static,
) -> Result<std::thread::JoinHandle<()>> {
    let shared = Arc::clone(shared);
    std::thread::Builder::new()
        .name(name.into())
        .spawn(move || work(&shared))
        .map_err(|e| BackendError::with_source(ErrorKind::Upstream, "sled.open", e))
}
