//! How a node acts while Redis, or another node, does not answer. Tests shorten these times.

use std::time::Duration;

pub struct OutageTimeouts {
    /// A node is dead when its heartbeat was missing for so long. After an outage of Redis every node needs a
    /// moment to write its own.
    pub dead_after: Duration,
    /// Delays (ms) before each retry of an operation. With the time limits of all tries they end before Redis
    /// forgets the call id ([`CALL_ID_TTL_MS`](super::keys::CALL_ID_TTL_MS)). What is safe without it is then
    /// retried at the last delay.
    pub retry_delays_ms: &'static [u64],
}

impl Default for OutageTimeouts {
    fn default() -> Self {
        Self {
            dead_after: Duration::from_secs(30),
            retry_delays_ms: &[100, 400, 1_000, 2_000, 4_000, 8_000, 8_000, 16_000],
        }
    }
}
