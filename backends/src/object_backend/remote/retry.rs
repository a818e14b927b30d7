//! Asks again where storage did not begin to answer.

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};

use super::timeouts::RESPONSE_TIMEOUT;
use crate::error::{BackendError, ErrorKind, Result};

/// Before the second and the third try, on average.
const PAUSES: [Duration; 2] = [Duration::from_millis(100), Duration::from_millis(500)];

/// A client is told to come back where storage asks for more.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// Sends a request whose repetition changes nothing: once, or up to three times where storage did
/// not begin to answer, within [`RESPONSE_TIMEOUT`].
///
/// That is [`ErrorKind::Busy`] (503, 429), [`ErrorKind::NoAnswer`] (the connection broke before the
/// first byte, or a proxy says 502 or 504) and [`ErrorKind::Unavailable`] (no connection). Any other
/// answer is one, and stays.
pub async fn until_begun<T, F>(operation: &'static str, send: impl Fn() -> F) -> Result<T>
where
    F: Future<Output = Result<T>>,
{
    let deadline = Instant::now() + RESPONSE_TIMEOUT;
    let mut pauses = PAUSES.into_iter();
    loop {
        let Ok(answer) = timeout_at(deadline, send()).await else {
            return Err(BackendError::new(ErrorKind::Timeout, operation));
        };
        let mut error = match answer {
            Ok(found) => return Ok(found),
            Err(error) => error,
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
        let Some(pause) = pauses.next() else {
            return Err(error);
        };
        let pause = jittered(pause).max(wait);
        if pause > LONGEST_PAUSE || Instant::now() + pause >= deadline {
            return Err(error);
        }
        tracing::debug!(exception.message = %error, "storage did not begin to answer, asked again");
        sleep(pause).await;
    }
}

/// Half of it to one and a half: those that were refused together do not come back together.
fn jittered(pause: Duration) -> Duration {
    let mut random = [127];
    // Without randomness, the average.
    let _ = getrandom::fill(&mut random);
    pause / 2 + pause * u32::from(random[0]) / 255
}
