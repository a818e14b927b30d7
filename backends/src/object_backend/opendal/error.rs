//! OpenDAL's errors to ours. No address, header or query of a request gets into their text.

use std::error::Error as StdError;
use std::time::Duration;

use opendal::ErrorKind as OpendalKind;

use crate::error::{BackendError, ErrorKind};
use crate::object_backend::remote::acknowledgement::NotAcknowledged;
use crate::object_backend::remote::redact::for_log;

/// What our transport saw and OpenDAL would blur.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    #[error("412")]
    Precondition,
    #[error("{status} {words}")]
    Busy {
        status: u16,
        words: String,
        retry_after: Option<Duration>,
    },
    #[error(transparent)]
    NotAcknowledged(#[from] NotAcknowledged),
    /// The answer is to an exchange that was captured: nobody reads this.
    #[error("taken")]
    Taken,
    #[error("no connection: {0}")]
    Unreachable(String),
    #[error("the connection broke: {0}")]
    Broken(String),
    /// HTTP 502 or 504 of something in between.
    #[error("{0} in place of storage's answer")]
    Between(u16),
    #[error("no answer within {} s", .0.as_secs())]
    Silent(Duration),
}

impl Failure {
    /// The failure in `error`, if the transport made it.
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
            Self::Taken => ErrorKind::Upstream,
            Self::Unreachable(_) => ErrorKind::Unavailable,
            Self::Broken(_) | Self::Between(_) | Self::NotAcknowledged(_) => ErrorKind::NoAnswer,
            Self::Silent(_) => ErrorKind::Timeout,
        }
    }
}

/// Storage answered, whatever it said.
pub fn is_answer(error: &opendal::Error) -> bool {
    !matches!(
        Failure::of(error),
        Some(Failure::Unreachable(_) | Failure::Broken(_) | Failure::Silent(_))
    )
}

pub fn backend_error(operation: &'static str, error: opendal::Error) -> BackendError {
    if let Some(failure) = Failure::of(&error) {
        return match failure {
            // Answers that clients ask for: nothing to explain.
            Failure::Precondition => BackendError::new(failure.kind(), operation),
            Failure::Busy { .. }
            | Failure::NotAcknowledged(_)
            | Failure::Taken
            | Failure::Unreachable(_)
            | Failure::Broken(_)
            | Failure::Between(_)
            | Failure::Silent(_) => {
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
        // What storage says with 200, or with 409.
        OpendalKind::RateLimited | OpendalKind::Conflict => ErrorKind::Busy { retry_after: None },
        // Theirs, and open: what is new there is storage's trouble.
        _ if error.is_temporary() => ErrorKind::Unavailable,
        _ => ErrorKind::Upstream,
    };
    BackendError::with_source(kind, operation, words(&error))
}

/// The error's own words and its reason, without OpenDAL's context (which holds the address and
/// all headers of the answer).
fn words(error: &opendal::Error) -> String {
    let mut text = format!("{}: {}", error.kind(), error.message());
    if let Some(source) = error.source() {
        text.push_str(": ");
        text.push_str(&source.to_string());
    }
    for_log(&text)
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
    fn context_and_queries_stay_out_of_the_text() {
        let error = opendal_error(OpendalKind::Unexpected).set_source(std::io::Error::other(
            "while asking http://s/b/k?X-Amz-Signature=secret for it",
        ));
        let text = backend_error("get", error).to_string();
        assert!(!text.contains("secret"), "{text}");
        assert!(text.contains("storage said no"), "{text}");
        assert!(text.contains("for it"), "{text}");
    }

    #[test]
    fn kinds_follow_what_callers_can_do() {
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
    fn what_the_transport_saw_decides() {
        for (failure, expected) in [
            (Failure::Precondition, ErrorKind::PreconditionFailed),
            (
                Failure::Busy {
                    status: 503,
                    words: "SlowDown".into(),
                    retry_after: None,
                },
                ErrorKind::Busy { retry_after: None },
            ),
            (Failure::Unreachable(String::new()), ErrorKind::Unavailable),
            (Failure::Broken(String::new()), ErrorKind::NoAnswer),
            (Failure::Between(504), ErrorKind::NoAnswer),
            (Failure::Silent(Duration::from_secs(30)), ErrorKind::Timeout),
        ] {
            let error = opendal_error(OpendalKind::Unexpected).set_source(failure);
            assert_eq!(backend_error("get", error).kind, expected);
        }
    }
}
