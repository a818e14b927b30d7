//! One error for every port: a kind to branch on, the operation, and the vendor's error for the log.

use std::error::Error as StdError;
use std::time::Duration;

/// What a caller can do something about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// The object is not there.
    NotFound,
    /// `If-None-Match` or `If-Modified-Since` says that the client's copy is fresh (HTTP 304).
    NotModified,
    /// `If-Match`, `If-Unmodified-Since` or "must not exist" does not hold (HTTP 412).
    PreconditionFailed,
    /// The range lies outside the object; `size` is the object's where it is known.
    RangeNotSatisfiable { size: Option<u64> },
    /// This backend cannot hold such a key (a file where a folder is, a name too long, …).
    InvalidKey,
    /// The operation took longer than its limit.
    Timeout,
    /// The connection broke before the answer, or something in between answered in the dependency's
    /// place (HTTP 502, 504): what was asked may yet be done.
    NoAnswer,
    /// The dependency cannot be reached; trying later may help.
    Unavailable,
    /// The dependency has answered that it is busy (HTTP 503, 429, a conflict that passes): nothing
    /// was done. `retry_after` is when it asks to be asked again, where it says so.
    Busy { retry_after: Option<Duration> },
    /// The dependency refused or broke (credentials, quota, a bug of it or of the adapter).
    Upstream,
    /// Stored bytes that cannot be understood.
    Corrupt,
}

impl ErrorKind {
    /// Storage did what it was asked: the client's conditions, range or key led to this. The kind
    /// says all that a log needs.
    pub fn is_outcome(self) -> bool {
        match self {
            Self::NotFound
            | Self::NotModified
            | Self::PreconditionFailed
            | Self::RangeNotSatisfiable { .. } => true,
            Self::InvalidKey
            | Self::Timeout
            | Self::NoAnswer
            | Self::Unavailable
            | Self::Busy { .. }
            | Self::Upstream
            | Self::Corrupt => false,
        }
    }
}

/// An adapter's failure. `Display` is for the log: it names the operation and the vendor's words,
/// never a credential.
#[derive(Debug, thiserror::Error)]
#[error("{operation}: {kind:?}{}", .source.as_ref().map(|s| format!(": {s}")).unwrap_or_default())]
pub struct BackendError {
    pub kind: ErrorKind,
    pub operation: &'static str,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl BackendError {
    pub fn new(kind: ErrorKind, operation: &'static str) -> Self {
        Self {
            kind,
            operation,
            source: None,
        }
    }

    pub fn with_source(
        kind: ErrorKind,
        operation: &'static str,
        source: impl Into<Box<dyn StdError + Send + Sync>>,
    ) -> Self {
        Self {
            kind,
            operation,
            source: Some(source.into()),
        }
    }

    /// What the adapter or its vendor says, without operation and kind.
    pub fn reason(&self) -> Option<String> {
        self.source.as_ref().map(ToString::to_string)
    }
}

pub type Result<T, E = BackendError> = std::result::Result<T, E>;
