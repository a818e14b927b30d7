//! How long a node bears with a Redis, and with other nodes, that say nothing. Tests have less of it.

use std::time::Duration;

pub struct Patience {
    /// A sign of life has to be missed for so long: after an outage of Redis every node needs a
    /// moment.
    pub missed_for: Duration,
    /// Pauses (ms) before further tries of a deed: with the time limits of all tries less than the
    /// minute for which Redis remembers its id. What can be done after that has the last one again
    /// and again.
    pub pauses_ms: &'static [u64],
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            missed_for: Duration::from_secs(30),
            pauses_ms: &[100, 400, 1_000, 2_000, 4_000, 8_000, 8_000, 16_000],
        }
    }
}
