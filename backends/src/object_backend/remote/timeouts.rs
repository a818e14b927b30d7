//! Time limits of requests to remote storage.

use std::time::Duration;

pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// To the first byte of a response, all attempts included; between two chunks of a body.
pub const RESPONSE_TIMEOUT: Duration = Duration::from_secs(30);

/// Of the request that makes an object visible: storage joins the parts before it answers.
pub const COMPLETE_TIMEOUT: Duration = Duration::from_secs(300);

const MIN_UPLOAD_BYTES_PER_SECOND: u64 = 64 * 1024;

/// Of one try to send a part of `length` bytes.
pub fn part_timeout(length: u64) -> Duration {
    RESPONSE_TIMEOUT + Duration::from_secs(length / MIN_UPLOAD_BYTES_PER_SECOND)
}
