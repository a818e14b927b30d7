//! Waits until replicas have what was written (`WAIT`).
//!
//! `WAIT` covers all earlier writes of its connection, and blocks the connection meanwhile. So one at a time runs, and
//! serves all requests that wrote before it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use redis::RedisResult;
use redis::aio::MultiplexedConnection;

const WAIT_TIMEOUT: Duration = Duration::from_secs(1);
/// Once replicas were missing: requests must not queue up behind long waits.
const SHORT_WAIT_TIMEOUT: Duration = Duration::from_millis(50);
/// How often a wait has the full timeout all the same: the replicas may be back, but slow.
const FULL_WAIT_INTERVAL: Duration = Duration::from_secs(3);

/// The replicas of the server at the other end of one connection.
pub struct Replicas {
    required: u32,
    /// Writes so far that replicas must have.
    writes: AtomicU64,
    wait_lock: tokio::sync::Mutex<()>,
    last: Mutex<LastWait>,
}

/// Result of the last `WAIT`.
#[derive(Clone, Copy)]
struct LastWait {
    /// How many of the writes it covered.
    writes: u64,
    enough: bool,
    /// When the last one with the full timeout began.
    full_wait_at: Instant,
}

impl Replicas {
    pub fn new(required: u32) -> Self {
        Self {
            required,
            writes: AtomicU64::new(0),
            wait_lock: tokio::sync::Mutex::default(),
            last: Mutex::new(LastWait {
                writes: 0,
                enough: true,
                full_wait_at: Instant::now(),
            }),
        }
    }

    pub fn are_required(&self) -> bool {
        self.required > 0
    }

    /// Whether enough replicas have everything that this connection has written so far.
    pub async fn wait(&self, connection: &mut MultiplexedConnection) -> RedisResult<bool> {
        let own_write = self.writes.fetch_add(1, Ordering::AcqRel) + 1;
        let _lock = self.wait_lock.lock().await;
        let last = *self.last.lock();
        if last.writes >= own_write {
            return Ok(last.enough);
        }
        let writes = self.writes.load(Ordering::Acquire);
        let full_wait = last.enough || last.full_wait_at.elapsed() > FULL_WAIT_INTERVAL;
        let (timeout, full_wait_at) = match full_wait {
            true => (WAIT_TIMEOUT, Instant::now()),
            false => (SHORT_WAIT_TIMEOUT, last.full_wait_at),
        };
        let have: RedisResult<u32> = redis::cmd("WAIT")
            .arg(self.required)
            .arg(timeout.as_millis() as u64)
            .query_async(connection)
            .await;
        let enough = have.as_ref().is_ok_and(|have| *have >= self.required);
        // A failure, too, counts for all that wait: none of them has to try for itself.
        *self.last.lock() = LastWait {
            writes,
            enough,
            full_wait_at,
        };
        have.map(|_| enough)
    }
}
