//! No receiver may keep the others waiting.
//!
//! A host that answers well and fast (within a second, where nobody waits for it) may use three quarters of the tries that run at once, any
//! other a quarter (at least one), and all of those together three quarters: however many are dead,
//! there is room for the fast ones. What is too much for a fast host waits here: it is soon gone.
//! A fast host that has not ended a try for so long counts as slow. What is too much for a slow one
//! waits here, too, while it is little and the host has not failed; else it goes back to the queue,
//! due when the host, at its pace, would get to it: a backlog of a dead host is then looked at once
//! in a while, and not before every healthy event.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

/// An answer within this makes a host a fast one where nobody waits for it.
pub(super) const FAST: Duration = Duration::from_secs(1);
/// Bounds of how far in the future an event is put back.
const NEAREST: Duration = Duration::from_millis(500);
const FARTHEST: Duration = Duration::from_secs(300);
/// HostLimits that are remembered before those that have nothing running are forgotten.
const REMEMBERED: usize = 4096;

pub(super) enum Admission {
    /// Counted as running; [`HostLimits::finished`] or [`HostLimits::cancel`] is due.
    Start(HostClass),
    /// Ask again when a try has ended.
    Wait(HostClass),
    /// Give it back for this long.
    PutBack(Duration),
}

/// Events that are claimed and wait for their host.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Waiting {
    pub(super) of_host: usize,
    pub(super) of_unproven: usize,
}

/// What was known of a host when a try began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HostClass {
    Fast,
    /// Slow, failing, or never tried.
    Unproven,
}

pub(super) struct HostLimits {
    limit: usize,
    /// All that are unproven together.
    limit_unproven: usize,
    unproven: usize,
    /// Events of unproven hosts that may wait here.
    limit_waiting: usize,
    limit_fast: usize,
    /// How long a try of an unknown host may take.
    timeout: Duration,
    /// An answer within this makes a host a fast one.
    fast: Duration,
    known: HashMap<Arc<str>, Host>,
}

struct Host {
    running: usize,
    /// A try has ended.
    tried: bool,
    fast: bool,
    /// Its last try did not deliver.
    failed: bool,
    /// How long its tries take, recent ones weigh more.
    typical: Duration,
    /// When those that were put back are through.
    booked_until: Instant,
    /// When a try ended last, or the first of those that run began.
    moved: Instant,
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

    /// `waiting`: events that wait here already, of this host and of all that are unproven.
    pub(super) fn admit(&mut self, name: &Arc<str>, waiting: Waiting) -> Admission {
        if self.known.len() >= REMEMBERED {
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
            host.moved = Instant::now();
        } else if host.moved.elapsed() > self.fast {
            // It has been fast, and hangs.
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
            // In the queue it would stand behind the backlogs of the dead.
            let may_wait = !host.failed
                && waiting.of_host < self.limit
                && waiting.of_unproven < self.limit_waiting;
            return match may_wait {
                true => Admission::Wait(HostClass::Unproven),
                false => Admission::PutBack(host.book(self.limit)),
            };
        }
        host.running += 1;
        self.unproven += 1;
        Admission::Start(HostClass::Unproven)
    }

    /// It may run, and does not.
    pub(super) fn cancel(&mut self, name: &str, class: HostClass) {
        match class {
            HostClass::Fast => {}
            HostClass::Unproven => self.unproven = self.unproven.saturating_sub(1),
        }
        if let Some(host) = self.known.get_mut(name) {
            host.running = host.running.saturating_sub(1);
        }
    }

    /// `class`: as it was when the try began.
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
            host.moved = Instant::now();
            host.typical = match host.tried {
                true => (host.typical + took) / 2,
                false => took,
            };
            host.tried = true;
            host.failed = !delivered;
            let was_fast = host.fast;
            // One quick answer among slow ones does not make it fast.
            host.fast = delivered && took < fast && host.typical < fast;
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
            typical: timeout,
            booked_until: Instant::now(),
            moved: Instant::now(),
        }
    }

    /// The next place in the line, from now.
    fn book(&mut self, limit: usize) -> Duration {
        if !self.tried {
            // Nothing is known of its pace; a burst for a healthy host must not be put far off.
            return NEAREST;
        }
        let now = Instant::now();
        let each = self.typical / u32::try_from(limit).unwrap_or(u32::MAX);
        let place = self.booked_until.max(now) + each;
        self.booked_until = place.min(now + FARTHEST);
        self.booked_until
            .saturating_duration_since(now)
            .max(NEAREST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// No more may wait.
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
        let mut limits = HostLimits::new(32, TIMEOUT, FAST);
        let name = Arc::from("a:80");
        assert_eq!(admitted(&mut limits, &name, 32), 8);
        limits.finished(&name, HostClass::Unproven, Duration::from_millis(5), true);
        assert_eq!(admitted(&mut limits, &name, 32), 17);
        assert!(matches!(
            limits.admit(&name, FULL),
            Admission::Wait(HostClass::Fast)
        ));
        limits.finished(&name, HostClass::Fast, Duration::from_millis(5), false);
        assert!(matches!(limits.admit(&name, FULL), Admission::PutBack(_)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_fast_host_that_hangs_is_fast_no_more() {
        let mut limits = HostLimits::new(32, TIMEOUT, FAST);
        let name = Arc::from("a:80");
        admitted(&mut limits, &name, 1);
        limits.finished(&name, HostClass::Unproven, Duration::from_millis(5), true);
        assert_eq!(admitted(&mut limits, &name, 32), 24);
        assert!(matches!(
            limits.admit(&name, FULL),
            Admission::Wait(HostClass::Fast)
        ));
        tokio::time::advance(FAST + Duration::from_millis(1)).await;
        assert!(matches!(limits.admit(&name, FULL), Admission::PutBack(_)));
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
        let mut limits = HostLimits::new(32, TIMEOUT, FAST);
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
    async fn every_host_gets_one_where_there_is_one() {
        let mut limits = HostLimits::new(1, TIMEOUT, FAST);
        for name in ["a:80", "b:80"].map(Arc::from) {
            assert_eq!(admitted(&mut limits, &name, 2), 1);
            limits.finished(&name, HostClass::Unproven, TIMEOUT, false);
        }
    }

    #[tokio::test]
    async fn however_many_are_dead_a_quarter_is_left_for_fast_ones() {
        let mut limits = HostLimits::new(32, TIMEOUT, FAST);
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
    async fn a_backlog_is_spread_at_the_pace_of_the_host() {
        let mut limits = HostLimits::new(32, TIMEOUT, FAST);
        let name = Arc::from("dead:80");
        admitted(&mut limits, &name, 8);
        let due = |limits: &mut HostLimits| match limits.admit(&name, FULL) {
            Admission::PutBack(pause) => pause,
            Admission::Start(_) | Admission::Wait(_) => panic!("put back"),
        };
        assert_eq!(due(&mut limits), NEAREST);
        limits.finished(&name, HostClass::Unproven, TIMEOUT, false);
        admitted(&mut limits, &name, 1);
        // Eight at a time, 16 s each: one every two seconds.
        assert_eq!(due(&mut limits), Duration::from_secs(2));
        assert_eq!(due(&mut limits), Duration::from_secs(4));
        for _ in 0..1000 {
            due(&mut limits);
        }
        assert_eq!(due(&mut limits), FARTHEST);
    }
}
