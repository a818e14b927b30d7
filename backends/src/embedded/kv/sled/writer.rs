//! The thread that writes, flushes, and opens the database again after a failure.
//!
//! sled refuses every write after the first that has failed, for as long as the database is open. So
//! an outage ends like this: a file of some size finds room beside the database, the database is
//! closed and opened again, and everything that the disk may lack is written once more. It was kept
//! in memory until a flush had succeeded.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::Shared;
use super::folder::{Open, room};
use crate::error::{BackendError, ErrorKind, Result};

/// Is told whether everything that was applied before the request is on disk.
pub type Waiter = oneshot::Sender<Result<()>>;

/// Between two tries to end an outage.
const RETRY: Duration = Duration::from_millis(500);
/// Between two looks whether sled has stopped.
const WATCH: Duration = Duration::from_millis(500);

/// Writes and flushes once for all who wait, until nobody can ask any more.
pub fn run(shared: &Shared, requests: &mpsc::Receiver<Waiter>) {
    let mut waiting = Vec::new();
    while let Ok(first) = requests.recv() {
        waiting.push(first);
        waiting.extend(requests.try_iter());
        match shared.write() {
            Ok(()) => waiting.drain(..).for_each(|waiter| {
                // Whoever stopped waiting does not need the answer.
                let _ = waiter.send(Ok(()));
            }),
            Err(reason) => {
                shared.begin_outage(&reason);
                waiting.drain(..).for_each(refuse);
                if wait_for_room(shared, requests).is_err() {
                    break;
                }
            }
        }
    }
    // What nobody waited for.
    if shared.write().is_err() && shared.resume().is_err() {
        let keys = shared.unwritten.read().keys();
        tracing::error!(keys, "the last writes are lost; none was acknowledged");
    }
}

/// Nobody can ask any more.
struct Closed;

/// Tries to write again until it works. Who asks meanwhile is refused at once.
fn wait_for_room(shared: &Shared, requests: &mpsc::Receiver<Waiter>) -> Result<(), Closed> {
    let mut last = String::new();
    loop {
        let next = Instant::now() + RETRY;
        loop {
            let left = next.saturating_duration_since(Instant::now());
            match requests.recv_timeout(left) {
                Ok(waiter) => refuse(waiter),
                Err(mpsc::RecvTimeoutError::Disconnected) => return Err(Closed),
                Err(mpsc::RecvTimeoutError::Timeout) => break,
            }
        }
        match shared.resume() {
            Ok(()) => {
                shared.end_outage();
                return Ok(());
            }
            Err(reason) if reason != last => {
                tracing::warn!(reason, "the token store cannot be written to yet");
                last = reason;
            }
            Err(_) => {}
        }
    }
}

fn refuse(waiter: Waiter) {
    let _ = waiter.send(Err(outage()));
}

/// What a caller hears while nothing can be written; the reason stands in the log once.
pub fn outage() -> BackendError {
    let text = "the token store cannot be written to";
    BackendError::with_source(ErrorKind::Unavailable, "sled.write", text)
}

/// Lets nobody wait in a flush for a write that has failed. Runs until `stop`.
pub fn watch(shared: &Shared, stop: &AtomicBool) {
    while !stop.load(Ordering::Acquire) {
        std::thread::park_timeout(WATCH);
        if let Some(open) = &*shared.open.read()
            && open.stopped_by().is_some()
        {
            open.wake_flush();
        }
    }
}

impl Shared {
    /// Writes and flushes what is unwritten: all of it or none, also across the process' death.
    /// Called by one thread. The error is for the log.
    fn write(&self) -> Result<(), String> {
        let writes = self.unwritten.write().leave();
        // A panic of sled's is as good as an error: the database is opened again either way.
        let written = catch_unwind(AssertUnwindSafe(|| {
            let open = self.open.read();
            let Some(open) = &*open else {
                return Err("the database is not open".to_owned());
            };
            apply(&open.tree, writes)
                .and_then(|()| open.flush())
                .map_err(|error| error.to_string())
        }));
        written.unwrap_or_else(|_| Err("sled panicked".to_owned()))?;
        self.unwritten.write().left();
        Ok(())
    }

    /// Opens the database again, where there is room, and writes what the disk may lack.
    fn resume(&self) -> Result<(), String> {
        room(&self.folder).map_err(|error| error.to_string())?;
        let stopped = self.open.write().take();
        // Not under the lock: it waits for sled's threads.
        if catch_unwind(AssertUnwindSafe(|| drop(stopped))).is_err() {
            tracing::error!("sled panicked while it was closed");
        }
        let opened = catch_unwind(AssertUnwindSafe(|| Open::reopen(&self.folder)))
            .map_err(|_| "sled panicked".to_owned())?
            .map_err(|error| error.to_string())?;
        *self.open.write() = Some(opened);
        self.write()
    }

    fn begin_outage(&self, reason: &str) {
        self.is_out.store(true, Ordering::Release);
        tracing::error!(
            reason,
            folder = %self.folder.display(),
            "the token store cannot be written to: 503 for what needs a write, until it can"
        );
    }

    fn end_outage(&self) {
        self.is_out.store(false, Ordering::Release);
        tracing::info!("the token store is written to again");
    }
}

fn apply(tree: &sled::Tree, mut writes: Vec<super::unwritten::Write>) -> sled::Result<()> {
    match (writes.pop(), writes.is_empty()) {
        (None, _) => {}
        // One alone needs no batch.
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

/// A thread of the store's.
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
