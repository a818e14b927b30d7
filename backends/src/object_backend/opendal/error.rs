//! OpenDAL's errors to ours. Their text holds no URL, header or query of a request.

use std::error::Error as StdError;
use std::time::Duration;

use opendal::ErrorKind as OpendalKind;

use crate::error::{BackendError, ErrorKind};
use crate::object_backend::remote::acknowledgement::NotAcknowledged;
use crate::object_backend::remote::redact::redact;

/// What the transport saw. OpenDAL would map several of these to one error.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    #[error("412")]
    Precondition,
    #[error("{status} {message}")]
    Busy {
        status: u16,
        message: String,
        retry_after: Option<Duration>,
    },
    #[error(transparent)]
    NotAcknowledged(#[from] NotAcknowledged),
    /// The response was captured: OpenDAL's error is never read.
    #[error("captured")]
    Captured,
    #[error("no connection: {0}")]
    Unreachable(String),
    #[error("the connection broke: {0}")]
    Broken(String),
    /// A proxy answered 502 or 504.
    #[error("a proxy answered {0} in place of storage")]
    Proxy(u16),
    #[error("no response within {} s", .0.as_secs())]
    TimedOut(Duration),
}

impl Failure {
    /// The failure that the transport put into `error`.
    pub fn of(error: &opendal::Error) -> Option<&Self> {
        let mut source = error.source();
        while let Some(error) = source {
            if let Some(failure) = error.downcast_ref() {
                return Some(failure);
            }
            source = error.source();
        }
        None
    }

    fn kind(&self) -> ErrorKind {
        match self {
            Self::Precondition => ErrorKind::PreconditionFailed,
            Self::Busy { retry_after, .. } => ErrorKind::Busy {
                retry_after: *retry_after,
            },
            Self::Captured => ErrorKind::Upstream,
            Self::Unreachable(_) => ErrorKind::Unavailable,
            Self::Broken(_) | Self::Proxy(_) | Self::NotAcknowledged(_) => ErrorKind::NoAnswer,
            Self::TimedOut(_) => ErrorKind::Timeout,
        }
    }
}

/// Whether storage sent a response of any status.
pub fn is_response(error: &opendal::Error) -> bool {
    !matches!(
        Failure::of(error),
        Some(Failure::Unreachable(_) | Failure::Broken(_) | Failure::TimedOut(_))
    )
}

pub fn backend_error(operation: &'static str, error: opendal::Error) -> BackendError {
    if let Some(failure) = Failure::of(&error) {
        return match failure {
            // The kind says all.
            Failure::Precondition => BackendError::new(failure.kind(), operation),
            Failure::Busy { .. }
            | Failure::NotAcknowledged(_)
            | Failure::Captured
            | Failure::Unreachable(_)
            | Failure::Broken(_)
            | Failure::Proxy(_)
            | Failure::TimedOut(_) => {
                BackendError::with_source(failure.kind(), operation, failure.clone())
            }
        };
    }
    let kind = match error.kind() {
        OpendalKind::NotFound => return BackendError::new(ErrorKind::NotFound, operation),
        OpendalKind::ConditionNotMatch | OpendalKind::AlreadyExists => {
            ErrorKind::PreconditionFailed
        }
        OpendalKind::RangeNotSatisfied => ErrorKind::RangeNotSatisfiable { size: None },
        OpendalKind::IsADirectory | OpendalKind::NotADirectory => ErrorKind::InvalidKey,
        // An error in a response with status 200, or a 409.
        OpendalKind::RateLimited | OpendalKind::Conflict => ErrorKind::Busy { retry_after: None },
        // OpenDAL's list is open: a new kind is an error of storage.
        _ if error.is_temporary() => ErrorKind::Unavailable,
        _ => ErrorKind::Upstream,
    };
    BackendError::with_source(kind, operation, message(&error))
}

/// The error's message and source, without OpenDAL's context, which holds the URL and all headers of the
/// response.
fn message(error: &opendal::Error) -> String {
    let mut text = format!("{}: {}", error.kind(), error.message());
    if let Some(source) = error.source() {
        text.push_str(": ");
        text.push_str(&source.to_string());
    }
    redact(&text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opendal_error(kind: OpendalKind) -> opendal::Error {
        opendal::Error::new(kind, "storage said no")
            .with_context("uri", "http://s/b/k?X-Amz-Signature=secret")
            .with_context("response", "authorization: secret")
    }

    #[test]
    fn an_error_text_holds_no_context_or_query() {
        let error = opendal_error(OpendalKind::Unexpected).set_source(std::io::Error::other(
            "while asking http://s/b/k?X-Amz-Signature=secret for it",
        ));
        let text = backend_error("get", error).to_string();
        assert!(!text.contains("secret"), "{text}");
        assert!(text.contains("storage said no"), "{text}");
        assert!(text.contains("for it"), "{text}");
    }

    #[test]
    fn opendal_kinds_become_ours() {
        for (kind, expected) in [
            (OpendalKind::NotFound, ErrorKind::NotFound),
            (
                OpendalKind::ConditionNotMatch,
                ErrorKind::PreconditionFailed,
            ),
            (OpendalKind::PermissionDenied, ErrorKind::Upstream),
            (
                OpendalKind::RateLimited,
                ErrorKind::Busy { retry_after: None },
            ),
            (OpendalKind::IsADirectory, ErrorKind::InvalidKey),
        ] {
            assert_eq!(backend_error("get", opendal_error(kind)).kind, expected);
        }
    }

    #[test]
    fn the_failure_of_the_transport_decides() {
        for (failure, expected) in [
            (Failure::Precondition, ErrorKind::PreconditionFailed),
            (
                Failure::Busy {
                    status: 503,
                    message: "SlowDown".into(),
                    retry_after: None,
                },
                ErrorKind::Busy { retry_after: None },
            ),
            (Failure::Unreachable(String::new()), ErrorKind::Unavailable),
            (Failure::Broken(String::new()), ErrorKind::NoAnswer),
            (Failure::Proxy(504), ErrorKind::NoAnswer),
            (
                Failure::TimedOut(Duration::from_secs(30)),
                ErrorKind::Timeout,
            ),
        ] {
            let error = opendal_error(OpendalKind::Unexpected).set_source(failure);
            assert_eq!(backend_error("get", error).kind, expected);
        }
    }
}
