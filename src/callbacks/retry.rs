//! The retry schedule: when a failed attempt is repeated; at its end `delivery` makes a dead letter.

use std::time::{Duration, UNIX_EPOCH};

/// Longest pause that a receiver may ask for.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(24 * 3600);

/// The pause after a failed attempt, or `None` at the end of the schedule.
///
/// `attempts_before`: attempts before this one. `retry_after`: what the receiver asked for, a lower bound.
/// `random`: any number; jitters the pause by ±10 %, so that events that failed together are retried apart.
pub(super) fn pause(
    schedule: &[Duration],
    attempts_before: usize,
    retry_after: Option<Duration>,
    random: u32,
) -> Option<Duration> {
    let planned = schedule.get(attempts_before)?;
    let jitter = 0.9 + 0.2 * f64::from(random) / f64::from(u32::MAX);
    let requested = retry_after.unwrap_or_default().min(MAX_RETRY_AFTER);
    Some(planned.mul_f64(jitter).max(requested))
}

/// `Retry-After` (RFC 9110 §10.2.3): seconds or an HTTP date. `now_ms`: Unix milliseconds.
pub(super) fn parse_retry_after(value: &str, now_ms: u64) -> Option<Duration> {
    let value = value.trim();
    if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        // A number beyond u64 is capped later, like any long pause.
        return Some(Duration::from_secs(value.parse().unwrap_or(u64::MAX)));
    }
    let date = httpdate::parse_http_date(value).ok()?;
    let date = date.duration_since(UNIX_EPOCH).ok()?;
    Some(date.saturating_sub(Duration::from_millis(now_ms)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCHEDULE: [Duration; 2] = [Duration::from_secs(10), Duration::from_secs(100)];

    #[test]
    fn pauses_follow_the_schedule_within_a_tenth() {
        assert_eq!(pause(&SCHEDULE, 0, None, 0), Some(Duration::from_secs(9)));
        assert_eq!(
            pause(&SCHEDULE, 1, None, u32::MAX),
            Some(Duration::from_secs(110))
        );
        assert_eq!(pause(&SCHEDULE, 2, None, 0), None);
        assert_eq!(pause(&[], 0, None, 0), None);
    }

    #[test]
    fn a_receiver_may_ask_for_a_longer_pause_up_to_a_day() {
        let asked = |seconds| Some(Duration::from_secs(seconds));
        assert_eq!(pause(&SCHEDULE, 0, asked(3), 0), asked(9));
        assert_eq!(pause(&SCHEDULE, 0, asked(60), 0), asked(60));
        assert_eq!(pause(&SCHEDULE, 0, asked(u64::MAX), 0), asked(86_400));
        assert_eq!(pause(&SCHEDULE, 2, asked(60), 0), None);
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now_ms = 784_111_777_000; // Sun, 06 Nov 1994 08:49:37 GMT
        let parse = |value| parse_retry_after(value, now_ms);
        assert_eq!(parse("120"), Some(Duration::from_secs(120)));
        assert_eq!(parse(" 0 "), Some(Duration::ZERO));
        assert_eq!(
            parse("99999999999999999999999"),
            Some(Duration::from_secs(u64::MAX))
        );
        assert_eq!(
            parse("Sun, 06 Nov 1994 08:50:37 GMT"),
            Some(Duration::from_secs(60))
        );
        assert_eq!(parse("Sun, 06 Nov 1994 08:00:00 GMT"), Some(Duration::ZERO));
        assert_eq!(parse("soon"), None);
        assert_eq!(parse("-5"), None);
        assert_eq!(parse(""), None);
    }
}
