//! Per-host concurrency limits: how many attempts each receiver may have running.
//!
//! - A *fast* host, whose attempts deliver within [`FAST_ATTEMPT`], may have three quarters of all attempts
//!   running. A host without an answer for that long is not fast any more.
//! - Any other host is *unproven*: a quarter of the attempts (at least one), and three quarters for all
//!   unproven hosts together, so that fast hosts always find room.
//! - An event over the limit of a fast host waits in memory, because the host will soon be free. So does one
//!   of an unproven host that has not failed, while few wait.
//! - Any other event goes back to the queue, due when the host will get to it at its usual speed: the
//!   events of a dead host are then claimed rarely, not ahead of healthy ones.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

/// Longest attempt of a fast host, where no upload waits for the answer.
pub(super) const FAST_ATTEMPT: Duration = Duration::from_secs(1);
/// Bounds of the time after which an event of a busy host is due again.
const MIN_DEFERRAL: Duration = Duration::from_millis(500);
const MAX_DEFERRAL: Duration = Duration::from_secs(300);
/// Number of hosts from which on those without running attempts are forgotten.
const MAX_REMEMBERED_HOSTS: usize = 4096;

pub(super) enum Admission {
    /// The attempt counts as running until [`HostLimits::finished`] or [`HostLimits::cancel`].
    Start(HostClass),
    /// Wait until another attempt has ended.
    Wait(HostClass),
    /// Return the event to the queue, due after this time.
    Defer(Duration),
}

/// Numbers of claimed events that wait in memory for their host.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Waiting {
    pub(super) of_host: usize,
    pub(super) of_unproven: usize,
}

/// What was known of a host when an attempt began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HostClass {
    Fast,
    /// Slow, failing, or without an attempt so far.
    Unproven,
}

pub(super) struct HostLimits {
    /// Running attempts of one unproven host.
    limit: usize,
    /// Running attempts of all unproven hosts together.
    limit_unproven: usize,
    unproven: usize,
    /// Events of unproven hosts that may wait in memory.
    limit_waiting: usize,
    /// Running attempts of one fast host.
    limit_fast: usize,
    /// Assumed duration of an unknown host's attempts.
    timeout: Duration,
    /// Longest attempt of a fast host.
    fast: Duration,
    known: HashMap<Arc<str>, Host>,
}

struct Host {
    running: usize,
    /// Whether an attempt has ended.
    tried: bool,
    fast: bool,
    /// Whether the last attempt failed.
    failed: bool,
    /// Moving average of the attempts' duration.
    average: Duration,
    /// When the host will have taken the events that were deferred.
    booked_until: Instant,
    /// When the last attempt ended, or the first running one began.
    last_progress: Instant,
}

impl HostLimits {
    pub(super) fn new(concurrency: usize, timeout: Duration, fast: Duration) -> Self {
        Self {
            limit: (concurrency / 4).max(1),
            limit_unproven: (concurrency * 3 / 4).max(1),
            unproven: 0,
            limit_waiting: concurrency / 2,
            limit_fast: (concurrency * 3 / 4).max(1),
            timeout,
            fast,
            known: HashMap::new(),
        }
    }

    /// Decides about one more attempt. `waiting`: events that wait in memory already.
    pub(super) fn admit(&mut self, name: &Arc<str>, waiting: Waiting) -> Admission {
        if self.known.len() >= MAX_REMEMBERED_HOSTS {
            let now = Instant::now();
            self.known
                .retain(|_, host| host.running > 0 || host.booked_until > now);
        }
        let timeout = self.timeout;
        let host = self
            .known
            .entry(Arc::clone(name))
            .or_insert_with(|| Host::new(timeout));
        if host.running == 0 {
            host.last_progress = Instant::now();
        } else if host.last_progress.elapsed() > self.fast {
            // The host was fast, and hangs.
            host.fast = false;
        }
        if host.fast {
            if host.running >= self.limit_fast {
                return Admission::Wait(HostClass::Fast);
            }
            host.running += 1;
            return Admission::Start(HostClass::Fast);
        }
        if host.running >= self.limit || self.unproven >= self.limit_unproven {
            // In the queue the event would stand behind those of dead hosts.
            let may_wait = !host.failed
                && waiting.of_host < self.limit
                && waiting.of_unproven < self.limit_waiting;
            return match may_wait {
                true => Admission::Wait(HostClass::Unproven),
                false => Admission::Defer(host.book(self.limit)),
            };
        }
        host.running += 1;
        self.unproven += 1;
        Admission::Start(HostClass::Unproven)
    }

    /// Ends an attempt that was not made.
    pub(super) fn cancel(&mut self, name: &str, class: HostClass) {
        if class == HostClass::Unproven {
            self.unproven = self.unproven.saturating_sub(1);
        }
        if let Some(host) = self.known.get_mut(name) {
            host.running = host.running.saturating_sub(1);
        }
    }

    /// Ends an attempt. `class`: that of the host when it began.
    pub(super) fn finished(
        &mut self,
        name: &str,
        class: HostClass,
        took: Duration,
        delivered: bool,
    ) {
        self.cancel(name, class);
        let fast = self.fast;
        if let Some(host) = self.known.get_mut(name) {
            host.last_progress = Instant::now();
            host.average = match host.tried {
                true => (host.average + took) / 2,
                false => took,
            };
            host.tried = true;
            host.failed = !delivered;
            let was_fast = host.fast;
            // One quick answer among slow ones does not make a host fast.
            host.fast = delivered && took < fast && host.average < fast;
            if host.fast && !was_fast {
                host.booked_until = Instant::now();
            }
        }
    }
}

impl Host {
    fn new(timeout: Duration) -> Self {
        Self {
            running: 0,
            tried: false,
            fast: false,
            failed: false,
            average: timeout,
            booked_until: Instant::now(),
            last_progress: Instant::now(),
        }
    }

    /// Time until the host will get to one more event.
    fn book(&mut self, limit: usize) -> Duration {
        if !self.tried {
            // The host's speed is not known: a burst for a healthy host must not be deferred far.
            return MIN_DEFERRAL;
        }
        let now = Instant::now();
        let each = self.average / u32::try_from(limit).unwrap_or(u32::MAX);
        let place = self.booked_until.max(now) + each;
        self.booked_until = place.min(now + MAX_DEFERRAL);
        self.booked_until
            .saturating_duration_since(now)
            .max(MIN_DEFERRAL)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As many events wait in memory as may.
    const FULL: Waiting = Waiting {
        of_host: 32,
        of_unproven: 32,
    };
    const TIMEOUT: Duration = Duration::from_secs(16);

    fn admitted(limits: &mut HostLimits, name: &Arc<str>, tries: usize) -> usize {
        (0..tries)
            .filter(|_| matches!(limits.admit(name, FULL), Admission::Start(_)))
            .count()
    }

    #[tokio::test]
    async fn an_unknown_host_gets_a_quarter_and_a_fast_one_three() {
        let mut limits = HostLimits::new(32, TIMEOUT, FAST_ATTEMPT);
        let name = Arc::from("a:80");
        assert_eq!(admitted(&mut limits, &name, 32), 8);
        limits.finished(&name, HostClass::Unproven, Duration::from_millis(5), true);
        assert_eq!(admitted(&mut limits, &name, 32), 17);
        assert!(matches!(
            limits.admit(&name, FULL),
            Admission::Wait(HostClass::Fast)
        ));
        limits.finished(&name, HostClass::Fast, Duration::from_millis(5), false);
        assert!(matches!(limits.admit(&name, FULL), Admission::Defer(_)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_fast_host_that_hangs_becomes_unproven() {
        let mut limits = HostLimits::new(32, TIMEOUT, FAST_ATTEMPT);
        let name = Arc::from("a:80");
        admitted(&mut limits, &name, 1);
        limits.finished(&name, HostClass::Unproven, Duration::from_millis(5), true);
        assert_eq!(admitted(&mut limits, &name, 32), 24);
        assert!(matches!(
            limits.admit(&name, FULL),
            Admission::Wait(HostClass::Fast)
        ));
        tokio::time::advance(FAST_ATTEMPT + Duration::from_millis(1)).await;
        assert!(matches!(limits.admit(&name, FULL), Admission::Defer(_)));
        // A quick answer among slow ones is not enough, some of them are.
        for _ in 0..24 {
            limits.finished(&name, HostClass::Fast, TIMEOUT, false);
        }
        for quick in 1..=6 {
            assert_eq!(admitted(&mut limits, &name, 1), 1);
            assert!(!limits.known[&name].fast, "after {quick}");
            limits.finished(&name, HostClass::Unproven, Duration::from_millis(5), true);
            if limits.known[&name].fast {
                assert!(quick > 3);
                return;
            }
        }
        panic!("never fast again");
    }

    #[tokio::test]
    async fn a_few_events_wait_for_a_host_that_has_not_failed() {
        let mut limits = HostLimits::new(32, TIMEOUT, FAST_ATTEMPT);
        let name = Arc::from("a:80");
        admitted(&mut limits, &name, 8);
        let few = Waiting {
            of_host: 7,
            of_unproven: 15,
        };
        let waits = |admission| matches!(admission, Admission::Wait(HostClass::Unproven));
        assert!(waits(limits.admit(&name, few)));
        for (of_host, of_unproven) in [(8, 8), (0, 16)] {
            let many = Waiting {
                of_host,
                of_unproven,
            };
            assert!(!waits(limits.admit(&name, many)));
        }
        admitted(&mut limits, &name, 1);
        limits.finished(&name, HostClass::Unproven, TIMEOUT, false);
        admitted(&mut limits, &name, 1);
        assert!(!waits(limits.admit(&name, Waiting::default())));
    }

    #[tokio::test]
    async fn every_host_gets_an_attempt_with_a_concurrency_of_one() {
        let mut limits = HostLimits::new(1, TIMEOUT, FAST_ATTEMPT);
        for name in ["a:80", "b:80"].map(Arc::from) {
            assert_eq!(admitted(&mut limits, &name, 2), 1);
            limits.finished(&name, HostClass::Unproven, TIMEOUT, false);
        }
    }

    #[tokio::test]
    async fn a_quarter_of_the_attempts_is_left_for_fast_hosts() {
        let mut limits = HostLimits::new(32, TIMEOUT, FAST_ATTEMPT);
        let fast = Arc::from("fast:80");
        assert_eq!(admitted(&mut limits, &fast, 1), 1);
        limits.finished(&fast, HostClass::Unproven, Duration::from_millis(5), true);
        let dead: Vec<Arc<str>> = (0..100).map(|n| format!("dead-{n}:80").into()).collect();
        let running: usize = dead.iter().map(|name| admitted(&mut limits, name, 5)).sum();
        assert_eq!(running, 24);
        assert_eq!(admitted(&mut limits, &fast, 8), 8);
        limits.finished(&dead[0], HostClass::Unproven, TIMEOUT, false);
        assert_eq!(admitted(&mut limits, &dead[99], 5), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn deferred_events_are_spread_at_the_speed_of_the_host() {
        let mut limits = HostLimits::new(32, TIMEOUT, FAST_ATTEMPT);
        let name = Arc::from("dead:80");
        admitted(&mut limits, &name, 8);
        let due = |limits: &mut HostLimits| match limits.admit(&name, FULL) {
            Admission::Defer(pause) => pause,
            Admission::Start(_) | Admission::Wait(_) => panic!("not deferred"),
        };
        assert_eq!(due(&mut limits), MIN_DEFERRAL);
        limits.finished(&name, HostClass::Unproven, TIMEOUT, false);
        admitted(&mut limits, &name, 1);
        // Eight at a time, 16 s each: one every two seconds.
        assert_eq!(due(&mut limits), Duration::from_secs(2));
        assert_eq!(due(&mut limits), Duration::from_secs(4));
        for _ in 0..1000 {
            due(&mut limits);
        }
        assert_eq!(due(&mut limits), MAX_DEFERRAL);
    }
}
