//! Where time comes from: a clock that tests can move.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

pub trait Clock: Send + Sync + std::fmt::Debug {
    /// Unix time in milliseconds.
    fn now_ms(&self) -> u64;

    /// Milliseconds since the machine was started. Nobody sets this clock, and it runs while the
    /// process is stopped and while the machine is suspended.
    fn uptime_ms(&self) -> u64;

    /// Unix time in whole seconds.
    fn now_seconds(&self) -> u64 {
        self.now_ms() / 1000
    }

    /// Both clocks at once, to measure from.
    fn moment(&self) -> Moment {
        Moment {
            uptime_ms: self.uptime_ms(),
            unix_ms: self.now_ms(),
        }
    }

    /// How long ago `moment` was, by the clock that says more: a virtual machine that is moved or
    /// restored may find only one of them put right.
    fn since(&self, moment: Moment) -> Duration {
        let by_uptime = self.uptime_ms().saturating_sub(moment.uptime_ms);
        let by_wall = self.now_ms().saturating_sub(moment.unix_ms);
        Duration::from_millis(by_uptime.max(by_wall))
    }
}

/// A reading of a machine's two clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    pub uptime_ms: u64,
    pub unix_ms: u64,
}

/// The machine's clocks.
#[derive(Debug, Default, Clone, Copy)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now_ms(&self) -> u64 {
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| {
                u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
            })
    }

    fn uptime_ms(&self) -> u64 {
        let time = rustix::time::clock_gettime(UPTIME);
        let (seconds, nanos) = (time.tv_sec, time.tv_nsec);
        let millis = i128::from(seconds) * 1000 + i128::from(nanos) / 1_000_000;
        u64::try_from(millis).unwrap_or_default()
    }
}

/// `CLOCK_MONOTONIC` of Linux stands still while the machine is suspended.
#[cfg(target_os = "linux")]
const UPTIME: rustix::time::ClockId = rustix::time::ClockId::Boottime;
#[cfg(not(target_os = "linux"))]
const UPTIME: rustix::time::ClockId = rustix::time::ClockId::Monotonic;

/// A clock that stands still until it is moved.
#[derive(Debug, Clone)]
pub struct TestClock(Arc<AtomicU64>);

impl TestClock {
    /// A clock that stands at `now_ms`, Unix milliseconds.
    pub fn at(now_ms: u64) -> Self {
        Self(Arc::new(AtomicU64::new(now_ms)))
    }

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

    /// Clocks that are set apart.
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
    fn the_clock_that_says_more_is_believed() {
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
    fn the_machine_has_been_up_for_a_while() {
        let clock = SystemClock;
        let before = clock.moment();
        assert!(before.uptime_ms > 0 && before.unix_ms > before.uptime_ms);
        assert!(clock.uptime_ms() >= before.uptime_ms);
    }
}
