//! Waiting until replicas have what was written (`WAIT`).
//!
//! `WAIT` speaks of all writes of its connection, and holds the connection up while it waits. So one
//! at a time is under way, and it serves all calls whose writes came before it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use redis::RedisResult;
use redis::aio::MultiplexedConnection;

const PATIENCE: Duration = Duration::from_secs(1);
/// Once replicas were missing: calls must not queue for each other's patience …
const PATIENCE_WITHOUT: Duration = Duration::from_millis(50);
/// … but for one now and then: slow replicas are replicas.
const PATIENT_EVERY: Duration = Duration::from_secs(3);

/// The replicas of the server at the other end of one connection.
pub struct Replicas {
    wanted: u32,
    /// Writes that somebody waits for.
    writes: AtomicU64,
    turn: tokio::sync::Mutex<()>,
    last: Mutex<Round>,
}

/// The `WAIT` that was done last.
#[derive(Clone, Copy)]
struct Round {
    /// Of the writes, how many it was about.
    writes: u64,
    enough: bool,
    /// When the last one with all patience began.
    patient_at: Instant,
}

impl Replicas {
    pub fn new(wanted: u32) -> Self {
        Self {
            wanted,
            writes: AtomicU64::new(0),
            turn: tokio::sync::Mutex::default(),
            last: Mutex::new(Round {
                writes: 0,
                enough: true,
                patient_at: Instant::now(),
            }),
        }
    }

    pub fn are_wanted(&self) -> bool {
        self.wanted > 0
    }

    /// Whether as many replicas as are wanted have all that this connection has written so far.
    pub async fn wait(&self, connection: &mut MultiplexedConnection) -> RedisResult<bool> {
        let own = self.writes.fetch_add(1, Ordering::AcqRel) + 1;
        let _turn = self.turn.lock().await;
        let last = *self.last.lock();
        if last.writes >= own {
            return Ok(last.enough);
        }
        let writes = self.writes.load(Ordering::Acquire);
        let (patience, patient_at) = match last.enough || last.patient_at.elapsed() > PATIENT_EVERY
        {
            true => (PATIENCE, Instant::now()),
            false => (PATIENCE_WITHOUT, last.patient_at),
        };
        let have: RedisResult<u32> = redis::cmd("WAIT")
            .arg(self.wanted)
            .arg(patience.as_millis() as u64)
            .query_async(connection)
            .await;
        let enough = have.as_ref().is_ok_and(|have| *have >= self.wanted);
        // A failure is everybody's, too: nobody else is to find out for himself.
        *self.last.lock() = Round {
            writes,
            enough,
            patient_at,
        };
        have.map(|_| enough)
    }
}
