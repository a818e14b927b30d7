//! Errors of the Redis client as backend errors. None of their texts holds a credential.

use redis::{ErrorKind as RedisErrorKind, RedisError, ServerErrorKind};

use crate::error::{BackendError, ErrorKind};

/// Codes of refusals that say something about the server's state, and for which the client has no kind.
const REFUSALS: &[&str] = &[
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

/// Redis cannot be reached, or takes no calls.
pub fn unavailable(operation: &'static str, reason: impl Into<String>) -> BackendError {
    BackendError::with_source(ErrorKind::Unavailable, operation, reason.into())
}

/// Redis holds or returned something that no version of this store writes.
pub fn corrupt(operation: &'static str, found: impl Into<String>) -> BackendError {
    BackendError::with_source(ErrorKind::Corrupt, operation, found.into())
}

/// The server refused the command before it ran.
pub fn is_refusal(error: &RedisError) -> bool {
    match error.kind() {
        RedisErrorKind::Server(
            ServerErrorKind::BusyLoading
            | ServerErrorKind::TryAgain
            | ServerErrorKind::ClusterDown
            | ServerErrorKind::MasterDown
            | ServerErrorKind::ReadOnly
            | ServerErrorKind::Moved
            | ServerErrorKind::Ask,
        ) => true,
        _ => REFUSALS.iter().any(|code| has_code(error, code)),
    }
}

/// Redis before version 7 puts the code of a command that failed in a script into a sentence.
fn has_code(error: &RedisError, code: &str) -> bool {
    let in_sentence = |detail: &str| detail.contains(&format!("-{code} "));
    error.code() == Some(code) || error.detail().is_some_and(in_sentence)
}

/// The connection must be replaced before the next request.
pub fn breaks_connection(error: &RedisError) -> bool {
    match error.kind() {
        RedisErrorKind::Server(ServerErrorKind::ReadOnly | ServerErrorKind::MasterDown) => true,
        _ if has_code(error, "READONLY") => true,
        // After a timeout the pings decide whether the connection is broken.
        _ => !error.is_timeout() && (error.is_io_error() || error.is_unrecoverable_error()),
    }
}

/// Kinds that a later version of the client adds count as the server's fault.
fn kind(error: &RedisError) -> ErrorKind {
    match error.kind() {
        RedisErrorKind::Io
        | RedisErrorKind::ClusterConnectionNotFound
        | RedisErrorKind::MasterNameNotFoundBySentinel => ErrorKind::Unavailable,
        RedisErrorKind::Parse | RedisErrorKind::UnexpectedReturnType => ErrorKind::Corrupt,
        _ if is_refusal(error) || has_code(error, "READONLY") => ErrorKind::Unavailable,
        _ => ErrorKind::Upstream,
    }
}
