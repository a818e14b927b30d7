//! The error of all ports: a kind to branch on, the operation, and the vendor's error for the log.

use std::error::Error as StdError;
use std::time::Duration;

/// The kinds of errors that callers tell apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// The object does not exist.
    NotFound,
    /// The client's copy is current by `If-None-Match` or `If-Modified-Since` (HTTP 304).
    NotModified,
    /// `If-Match`, `If-Unmodified-Since` or "must not exist" does not hold (HTTP 412).
    PreconditionFailed,
    /// The range lies outside the object.
    RangeNotSatisfiable {
        /// Bytes of the object, if known.
        size: Option<u64>,
    },
    /// The backend cannot hold such a key (a file in place of a folder, a name that is too long, …).
    InvalidKey,
    /// The operation took longer than its limit.
    Timeout,
    /// The connection broke before the answer, or a proxy answered for the dependency (HTTP 502, 504):
    /// the request may still be carried out.
    NoAnswer,
    /// The dependency cannot be reached; a later attempt may succeed.
    Unavailable,
    /// The dependency answers that it is busy (HTTP 503, 429, a temporary conflict): nothing was done.
    Busy {
        /// The pause that the dependency asks for, if it does.
        retry_after: Option<Duration>,
    },
    /// The dependency refused or failed (credentials, quota, a bug in it or in the adapter).
    Upstream,
    /// Stored bytes cannot be parsed.
    Corrupt,
}

impl ErrorKind {
    /// Whether the client's conditions, range or key led to this, and storage works as it should. A log
    /// needs no more than the kind.
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

/// An error of an adapter. `Display` is for the log: the operation, the kind and the vendor's message,
/// never a credential.
#[derive(Debug, thiserror::Error)]
#[error("{operation}: {kind:?}{}", .source.as_ref().map(|s| format!(": {s}")).unwrap_or_default())]
pub struct BackendError {
    /// What callers branch on.
    pub kind: ErrorKind,
    /// The failed operation, as `ADAPTER.OPERATION`.
    pub operation: &'static str,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl BackendError {
    /// An error without a cause.
    pub fn new(kind: ErrorKind, operation: &'static str) -> Self {
        Self {
            kind,
            operation,
            source: None,
        }
    }

    /// An error with a cause.
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

    /// The message of the adapter or its vendor, without operation and kind.
    pub fn reason(&self) -> Option<String> {
        self.source.as_ref().map(ToString::to_string)
    }
}

/// The result of all ports.
pub type Result<T, E = BackendError> = std::result::Result<T, E>;
