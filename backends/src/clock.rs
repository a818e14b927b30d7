//! The clock port: wall clock and uptime, and a clock that tests can move.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A source of time.
pub trait Clock: Send + Sync + std::fmt::Debug {
    /// Unix time in milliseconds.
    fn now_ms(&self) -> u64;

    /// Milliseconds since the machine was started. Monotonic, and running while the process is stopped
    /// or the machine is suspended.
    fn uptime_ms(&self) -> u64;

    /// Unix time in whole seconds.
    fn now_seconds(&self) -> u64 {
        self.now_ms() / 1000
    }

    /// Reads both clocks, to measure a duration from.
    fn moment(&self) -> Moment {
        Moment {
            uptime_ms: self.uptime_ms(),
            unix_ms: self.now_ms(),
        }
    }

    /// Time since `moment`, by the clock that has advanced further: after a migration or restore of a
    /// virtual machine, only one of the two may be correct.
    fn since(&self, moment: Moment) -> Duration {
        let by_uptime = self.uptime_ms().saturating_sub(moment.uptime_ms);
        let by_wall = self.now_ms().saturating_sub(moment.unix_ms);
        Duration::from_millis(by_uptime.max(by_wall))
    }
}

/// Whole milliseconds of a duration.
pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// A reading of a machine's two clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// See [`Clock::uptime_ms`].
    pub uptime_ms: u64,
    /// See [`Clock::now_ms`].
    pub unix_ms: u64,
}

/// The clocks of the machine.
#[derive(Debug, Default, Clone, Copy)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now_ms(&self) -> u64 {
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, millis)
    }

    fn uptime_ms(&self) -> u64 {
        let time = rustix::time::clock_gettime(UPTIME);
        let (seconds, nanos) = (time.tv_sec, time.tv_nsec);
        let millis = i128::from(seconds) * 1000 + i128::from(nanos) / 1_000_000;
        u64::try_from(millis).unwrap_or_default()
    }
}

/// On Linux, `CLOCK_MONOTONIC` stops while the machine is suspended; `CLOCK_BOOTTIME` does not.
#[cfg(target_os = "linux")]
const UPTIME: rustix::time::ClockId = rustix::time::ClockId::Boottime;
#[cfg(not(target_os = "linux"))]
const UPTIME: rustix::time::ClockId = rustix::time::ClockId::Monotonic;

/// A clock that stands still until a test advances it.
#[derive(Debug, Clone)]
pub struct TestClock(Arc<AtomicU64>);

impl TestClock {
    /// A clock that stands at `now_ms`, Unix milliseconds.
    pub fn at(now_ms: u64) -> Self {
        Self(Arc::new(AtomicU64::new(now_ms)))
    }

    /// Moves both clocks forward.
    pub fn advance(&self, by: Duration) {
        let by = u64::try_from(by.as_millis()).unwrap_or(u64::MAX);
        self.0.fetch_add(by, Ordering::SeqCst);
    }
}

impl Clock for TestClock {
    fn now_ms(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }

    fn uptime_ms(&self) -> u64 {
        self.now_ms()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Wall clock and uptime, set independently.
    #[derive(Debug)]
    struct Apart(u64, u64);

    impl Clock for Apart {
        fn now_ms(&self) -> u64 {
            self.0
        }

        fn uptime_ms(&self) -> u64 {
            self.1
        }
    }

    #[test]
    fn the_clock_that_advanced_further_counts() {
        let began = Apart(5_000, 100).moment();
        for (unix_ms, uptime_ms, expected) in [
            (5_000, 100, 0),
            (6_000, 100, 1_000),
            (1_000, 2_100, 2_000),
            (7_500, 2_100, 2_500),
        ] {
            let since = Apart(unix_ms, uptime_ms).since(began);
            assert_eq!(since, Duration::from_millis(expected));
        }
    }

    #[test]
    fn system_clocks_advance() {
        let clock = SystemClock;
        let before = clock.moment();
        assert!(before.uptime_ms > 0 && before.unix_ms > before.uptime_ms);
        assert!(clock.uptime_ms() >= before.uptime_ms);
    }
}
