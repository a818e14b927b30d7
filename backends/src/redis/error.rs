//! Errors of the Redis client become ours. None of its texts holds a credential.

use redis::{ErrorKind as Vendor, RedisError, ServerErrorKind};

use crate::error::{BackendError, ErrorKind};

/// Text that a node, and not a bug, is to blame for: these come as plain words of the server.
const PASSING: &[&str] = &[
    "OOM",
    "BUSY",
    "NOREPLICAS",
    "MISCONF",
    "UNBLOCKED",
    "NOAUTH",
    "NOPERM",
];

/// `error` as the failure of `operation`.
pub fn failed(operation: &'static str, error: RedisError) -> BackendError {
    BackendError::with_source(kind(&error), operation, error)
}

/// Redis is away, or too busy to be asked.
pub fn away(operation: &'static str, why: &'static str) -> BackendError {
    BackendError::with_source(ErrorKind::Unavailable, operation, why)
}

/// A store that holds the first part of an import.
pub fn half_imported(refusal: String) -> BackendError {
    BackendError::with_source(ErrorKind::Unavailable, "redis.open", refusal)
}

/// An answer that no version of this store gives.
pub fn corrupt(operation: &'static str, what: impl Into<String>) -> BackendError {
    BackendError::with_source(ErrorKind::Corrupt, operation, what.into())
}

/// The server has refused the call before it did anything.
pub fn is_refusal(error: &RedisError) -> bool {
    match error.kind() {
        Vendor::Server(
            ServerErrorKind::BusyLoading
            | ServerErrorKind::TryAgain
            | ServerErrorKind::ClusterDown
            | ServerErrorKind::MasterDown
            | ServerErrorKind::ReadOnly
            | ServerErrorKind::Moved
            | ServerErrorKind::Ask,
        ) => true,
        _ => PASSING.iter().any(|word| says(error, word)),
    }
}

/// Redis before 7 puts what went wrong in a script at the end of a sentence of its own.
fn says(error: &RedisError, word: &str) -> bool {
    let within = |detail: &str| detail.contains(&format!("-{word} "));
    error.code() == Some(word) || error.detail().is_some_and(within)
}

/// The connection has to be made anew before it is of use.
pub fn ends_connection(error: &RedisError) -> bool {
    match error.kind() {
        Vendor::Server(ServerErrorKind::ReadOnly | ServerErrorKind::MasterDown) => true,
        _ if says(error, "READONLY") => true,
        // A slow answer says nothing about the connection; the pings tell.
        _ => !error.is_timeout() && (error.is_io_error() || error.is_unrecoverable_error()),
    }
}

/// The vendor's kinds may grow: what is not known is its fault.
fn kind(error: &RedisError) -> ErrorKind {
    match error.kind() {
        Vendor::Io | Vendor::ClusterConnectionNotFound | Vendor::MasterNameNotFoundBySentinel => {
            ErrorKind::Unavailable
        }
        Vendor::Parse | Vendor::UnexpectedReturnType => ErrorKind::Corrupt,
        _ if is_refusal(error) || says(error, "READONLY") => ErrorKind::Unavailable,
        _ => ErrorKind::Upstream,
    }
}
