//! Retries of a HEAD or GET that storage did not begin to answer.

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};

use super::timeouts::RESPONSE_TIMEOUT;
use crate::error::{BackendError, ErrorKind, Result};

/// Mean delays before the second and the third attempt.
pub const RETRY_DELAYS: [Duration; 2] = [Duration::from_millis(100), Duration::from_millis(500)];

/// Where storage asks for a longer delay, the client is told to come back.
const MAX_RETRY_DELAY: Duration = Duration::from_secs(2);

/// Sends an idempotent request up to three times, within [`RESPONSE_TIMEOUT`].
///
/// Storage did not begin to answer after [`ErrorKind::Busy`] (503, 429), [`ErrorKind::NoAnswer`] (the
/// connection broke before the first byte, or a proxy answers 502 or 504) and
/// [`ErrorKind::Unavailable`] (no connection). Any other response is final.
pub async fn send_with_retries<T, F>(operation: &'static str, send: impl Fn() -> F) -> Result<T>
where
    F: Future<Output = Result<T>>,
{
    let deadline = Instant::now() + RESPONSE_TIMEOUT;
    let mut delays = RETRY_DELAYS.into_iter();
    loop {
        let mut error = match timeout_at(deadline, send()).await {
            Ok(Ok(response)) => return Ok(response),
            Ok(Err(error)) => error,
            Err(_) => return Err(BackendError::new(ErrorKind::Timeout, operation)),
        };
        error.operation = operation;
        let wait = match error.kind {
            ErrorKind::Busy { retry_after } => retry_after.unwrap_or_default(),
            ErrorKind::NoAnswer | ErrorKind::Unavailable => Duration::ZERO,
            ErrorKind::NotFound
            | ErrorKind::NotModified
            | ErrorKind::PreconditionFailed
            | ErrorKind::RangeNotSatisfiable { .. }
            | ErrorKind::InvalidKey
            | ErrorKind::Timeout
            | ErrorKind::Upstream
            | ErrorKind::Corrupt => return Err(error),
        };
        let Some(delay) = delays.next() else {
            return Err(error);
        };
        let delay = with_jitter(delay).max(wait);
        if delay > MAX_RETRY_DELAY || Instant::now() + delay >= deadline {
            return Err(error);
        }
        tracing::debug!(exception.message = %error, "storage did not begin to answer; the request is sent again");
        sleep(delay).await;
    }
}

/// Between 50 % and 150 % of `delay`: requests that were refused together do not come back together.
fn with_jitter(delay: Duration) -> Duration {
    let mut random = [127];
    // Without randomness the mean stays.
    let _ = getrandom::fill(&mut random);
    delay / 2 + delay * u32::from(random[0]) / 255
}
