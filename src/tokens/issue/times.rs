//! The fields of a request that are points in time, in Unix seconds.

use super::{Invalid, invalid};

/// Lifetime of a token without `expire_at`.
const DEFAULT_LIFETIME_SECONDS: u64 = 1800;

/// Ten years with three leap days. A later time is one in milliseconds by mistake, and the token would be
/// valid for ever.
const MAX_SECONDS_AHEAD: u64 = 3653 * 86_400;

/// Checks `expire_at`, where 0 and absence mean the default.
pub fn expire_at(given: Option<i64>, now: u64) -> Result<u64, Invalid> {
    match given {
        None | Some(0) => Ok(now + DEFAULT_LIFETIME_SECONDS),
        Some(given) => match u64::try_from(given) {
            Ok(given) if given > now => within_ten_years("expire_at", given, now),
            Ok(_) | Err(_) => invalid("expire_at must lie in the future (Unix seconds)"),
        },
    }
}

/// Checks `not_before`, where 0 and absence mean at once.
pub fn not_before(given: Option<i64>, expire_at: u64, now: u64) -> Result<Option<u64>, Invalid> {
    let Some(given) = given.filter(|given| *given != 0) else {
        return Ok(None);
    };
    let Ok(given) = u64::try_from(given) else {
        return invalid("not_before: must not be negative");
    };
    let start = within_ten_years("not_before", given, now)?;
    if start >= expire_at {
        return invalid("not_before must lie before expire_at");
    }
    Ok(Some(start))
}

/// Refuses a time that is more than ten years after `now`.
pub fn within_ten_years(field: &str, seconds: u64, now: u64) -> Result<u64, Invalid> {
    match seconds <= now.saturating_add(MAX_SECONDS_AHEAD) {
        true => Ok(seconds),
        false => invalid(format!(
            "{field} is more than ten years ahead: seconds, not milliseconds?"
        )),
    }
}
