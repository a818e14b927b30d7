//! The fields that are points in time, in Unix seconds.

use super::{Invalid, invalid};

/// Seconds that a token lives where nothing else is said.
const DEFAULT_LIFETIME_SECONDS: u64 = 1800;

/// Ten years with three leap days. A time beyond is one in milliseconds, which would make a link for
/// ever.
const MAX_SECONDS_AHEAD: u64 = 3653 * 86_400;

/// When a token expires; 0 and absence mean the default.
pub fn expire_at(given: Option<i64>, now: u64) -> Result<u64, Invalid> {
    match given {
        None | Some(0) => Ok(now + DEFAULT_LIFETIME_SECONDS),
        Some(given) => match u64::try_from(given) {
            Ok(given) if given > now => near("expire_at", given, now),
            Ok(_) | Err(_) => invalid("expire_at must lie in the future (Unix seconds)"),
        },
    }
}

/// From when on a token that expires at `expire_at` may be used; 0 and absence mean at once.
pub fn not_before(given: Option<i64>, expire_at: u64, now: u64) -> Result<Option<u64>, Invalid> {
    let Some(given) = given.filter(|given| *given != 0) else {
        return Ok(None);
    };
    let Ok(given) = u64::try_from(given) else {
        return invalid("not_before: must not be negative");
    };
    let start = near("not_before", given, now)?;
    if start >= expire_at {
        return invalid("not_before must lie before expire_at");
    }
    Ok(Some(start))
}

/// `seconds`, where it is at most ten years after `now`.
pub fn near(field: &str, seconds: u64, now: u64) -> Result<u64, Invalid> {
    match seconds <= now.saturating_add(MAX_SECONDS_AHEAD) {
        true => Ok(seconds),
        false => invalid(format!(
            "{field} is more than ten years ahead: seconds, not milliseconds?"
        )),
    }
}
