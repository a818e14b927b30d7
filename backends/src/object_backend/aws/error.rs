//! The SDK's errors to ours. No header of a request or an answer gets into their text.

use std::error::Error as StdError;
use std::time::Duration;

use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};

use crate::error::{BackendError, ErrorKind};
use crate::object_backend::remote::acknowledgement::NotAcknowledged;
use crate::object_backend::remote::not_sent::is_unsent;
use crate::object_backend::remote::redact::{chain, for_log};
use crate::object_backend::remote::response::error_response::is_passing_conflict;
use crate::object_backend::remote::response::headers::wait;

/// Storage answered, whatever it said.
pub fn is_answer<E>(error: &SdkError<E, HttpResponse>) -> bool {
    error.raw_response().is_some()
}

/// Somebody else wrote the key in the meantime, or it was taken: stores differ in what 409 means.
pub fn is_conflict<E>(error: &SdkError<E, HttpResponse>) -> bool {
    status(error) == Some(409)
}

/// What was asked about is not there.
pub fn is_missing<E>(error: &SdkError<E, HttpResponse>) -> bool {
    status(error) == Some(404)
}

pub fn backend_error<E>(operation: &'static str, error: &SdkError<E, HttpResponse>) -> BackendError
where
    E: ProvideErrorMetadata + StdError + 'static,
{
    let kind = kind(error);
    match kind.is_outcome() {
        true => BackendError::new(kind, operation),
        false => BackendError::with_source(kind, operation, words(error)),
    }
}

/// Storage's answer is not what the protocol says.
pub fn invalid_response(operation: &'static str, what: &'static str) -> BackendError {
    BackendError::with_source(ErrorKind::Upstream, operation, what)
}

fn status<E>(error: &SdkError<E, HttpResponse>) -> Option<u16> {
    error.raw_response().map(|raw| raw.status().as_u16())
}

fn kind<E: ProvideErrorMetadata + StdError + 'static>(
    error: &SdkError<E, HttpResponse>,
) -> ErrorKind {
    let code = error.code().unwrap_or_default();
    if is_not_acknowledged(error) {
        return ErrorKind::NoAnswer;
    }
    match error {
        SdkError::TimeoutError(_) => return ErrorKind::Timeout,
        SdkError::DispatchFailure(failure) if failure.is_timeout() => return ErrorKind::Timeout,
        SdkError::DispatchFailure(failure) if failure.is_io() => {
            return match is_unsent(error) {
                true => ErrorKind::Unavailable,
                false => ErrorKind::NoAnswer,
            };
        }
        // It began, and broke.
        SdkError::ResponseError(_) => return ErrorKind::NoAnswer,
        _ => {}
    }
    match status(error) {
        Some(304) => ErrorKind::NotModified,
        Some(412) => ErrorKind::PreconditionFailed,
        Some(416) => ErrorKind::RangeNotSatisfiable { size: None },
        // Missing, but not the object.
        Some(404) if matches!(code, "NoSuchBucket" | "NoSuchUpload") => ErrorKind::Upstream,
        Some(404) => ErrorKind::NotFound,
        Some(400) if code == "KeyTooLongError" => ErrorKind::InvalidKey,
        Some(502 | 504) => ErrorKind::NoAnswer,
        Some(429 | 503) => ErrorKind::Busy {
            retry_after: retry_after(error),
        },
        Some(409) if is_passing_conflict(code) => ErrorKind::Busy { retry_after: None },
        Some(500) => ErrorKind::Unavailable,
        // Completing an upload begins to answer before it knows how it ends.
        Some(200) => match code {
            "SlowDown" | "ServiceUnavailable" => ErrorKind::Busy { retry_after: None },
            "InternalError" => ErrorKind::Unavailable,
            // No error of storage's, and no success.
            "" => ErrorKind::NoAnswer,
            _ => ErrorKind::Upstream,
        },
        Some(_) | None => ErrorKind::Upstream,
    }
}

fn retry_after<E>(error: &SdkError<E, HttpResponse>) -> Option<Duration> {
    wait(error.raw_response()?.headers().get("retry-after")?)
}

/// The HTTP client has not taken the answer for storage's.
fn is_not_acknowledged<E: StdError + 'static>(error: &SdkError<E, HttpResponse>) -> bool {
    let mut error: Option<&(dyn StdError + 'static)> = Some(error);
    while let Some(one) = error {
        if one.is::<NotAcknowledged>() {
            return true;
        }
        error = one.source();
    }
    false
}

/// Storage's code and message, or what went wrong on the way.
fn words<E>(error: &SdkError<E, HttpResponse>) -> String
where
    E: ProvideErrorMetadata + StdError + 'static,
{
    let text = match (status(error), error.code()) {
        (Some(status), Some(code)) => {
            format!("{status} {code}: {}", error.message().unwrap_or_default())
        }
        (Some(status), None) => format!("{status}: {}", chain(error)),
        (None, _) => chain(error),
    };
    for_log(&text)
}

#[cfg(test)]
mod tests {
    use aws_sdk_s3::error::ErrorMetadata;
    use aws_sdk_s3::operation::get_object::GetObjectError;
    use aws_sdk_s3::primitives::SdkBody;

    use super::*;

    fn answered(status: u16, code: &str) -> SdkError<GetObjectError, HttpResponse> {
        let raw = http::Response::builder()
            .status(status)
            .header("content-range", "bytes */1234")
            .header("authorization", "secret")
            .body(SdkBody::from("<Signature>secret</Signature>"))
            .expect("an answer");
        let metadata = ErrorMetadata::builder()
            .code(code)
            .message("see http://s/b/k?X-Amz-Signature=secret for it")
            .build();
        SdkError::service_error(
            GetObjectError::generic(metadata),
            HttpResponse::try_from(raw).expect("an answer"),
        )
    }

    const BUSY: ErrorKind = ErrorKind::Busy { retry_after: None };

    #[test]
    fn answers_have_their_kinds() {
        for (status, code, expected) in [
            (304, "", ErrorKind::NotModified),
            (403, "AccessDenied", ErrorKind::Upstream),
            (404, "NoSuchKey", ErrorKind::NotFound),
            (404, "", ErrorKind::NotFound),
            (404, "NoSuchBucket", ErrorKind::Upstream),
            (412, "PreconditionFailed", ErrorKind::PreconditionFailed),
            (416, "", ErrorKind::RangeNotSatisfiable { size: None }),
            (500, "InternalError", ErrorKind::Unavailable),
            (502, "", ErrorKind::NoAnswer),
            (503, "SlowDown", BUSY),
            (429, "", BUSY),
            (409, "ConditionalRequestConflict", BUSY),
            (200, "SlowDown", BUSY),
            (200, "", ErrorKind::NoAnswer),
            (504, "", ErrorKind::NoAnswer),
            (200, "InternalError", ErrorKind::Unavailable),
            (200, "InvalidPart", ErrorKind::Upstream),
        ] {
            let error = backend_error("get", &answered(status, code));
            assert_eq!(error.kind, expected, "{status} {code}");
        }
        assert!(is_conflict(&answered(409, "ConditionalRequestConflict")));
        assert!(is_answer(&answered(503, "")));
    }

    #[test]
    fn headers_bodies_and_queries_stay_out_of_the_text() {
        let error = backend_error("get", &answered(403, "SignatureDoesNotMatch"));
        let text = format!("{error} {error:?}");
        assert!(text.contains("403 SignatureDoesNotMatch"), "{text}");
        assert!(!text.contains("secret"), "{text}");
    }
}
