//! The SDK's errors to ours. No header of a request or an answer gets into their text.

use std::error::Error as StdError;

use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::primitives::ByteStreamError;

use crate::error::{BackendError, ErrorKind};
use crate::object_backend::unsent::is_unsent;
use crate::object_backend::words::for_log;

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
    match kind {
        // Answers that clients ask for: nothing to explain.
        ErrorKind::NotFound
        | ErrorKind::NotModified
        | ErrorKind::PreconditionFailed
        | ErrorKind::RangeNotSatisfiable { .. } => BackendError::new(kind, operation),
        ErrorKind::InvalidKey
        | ErrorKind::Timeout
        | ErrorKind::NoAnswer
        | ErrorKind::Unavailable
        | ErrorKind::Upstream
        | ErrorKind::Corrupt => BackendError::with_source(kind, operation, words(error)),
    }
}

/// A body that broke on its way here.
pub fn body_error(error: &ByteStreamError) -> BackendError {
    BackendError::with_source(ErrorKind::Unavailable, "get", for_log(&chain(error)))
}

/// Storage's answer is not what the protocol says.
pub fn strange(operation: &'static str, what: &'static str) -> BackendError {
    BackendError::with_source(ErrorKind::Upstream, operation, what)
}

fn status<E>(error: &SdkError<E, HttpResponse>) -> Option<u16> {
    error.raw_response().map(|raw| raw.status().as_u16())
}

fn kind<E: ProvideErrorMetadata + StdError + 'static>(
    error: &SdkError<E, HttpResponse>,
) -> ErrorKind {
    let code = error.code().unwrap_or_default();
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
        Some(416) => ErrorKind::RangeNotSatisfiable {
            size: size_of_unsatisfied(error),
        },
        // Missing, but not the object.
        Some(404) if matches!(code, "NoSuchBucket" | "NoSuchUpload") => ErrorKind::Upstream,
        Some(404) => ErrorKind::NotFound,
        Some(400) if code == "KeyTooLongError" => ErrorKind::InvalidKey,
        Some(502 | 504) => ErrorKind::NoAnswer,
        Some(429 | 500 | 503) => ErrorKind::Unavailable,
        // Completing an upload begins to answer before it knows how it ends.
        Some(200) if matches!(code, "InternalError" | "SlowDown" | "ServiceUnavailable") => {
            ErrorKind::Unavailable
        }
        Some(_) | None => ErrorKind::Upstream,
    }
}

/// N of `Content-Range: bytes */N`.
fn size_of_unsatisfied<E>(error: &SdkError<E, HttpResponse>) -> Option<u64> {
    let value = error.raw_response()?.headers().get("content-range")?;
    value.strip_prefix("bytes */")?.trim().parse().ok()
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

/// The error's own words and those of what caused it.
fn chain(error: &dyn StdError) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
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

    #[test]
    fn answers_have_their_kinds() {
        for (status, code, expected) in [
            (304, "", ErrorKind::NotModified),
            (403, "AccessDenied", ErrorKind::Upstream),
            (404, "NoSuchKey", ErrorKind::NotFound),
            (404, "", ErrorKind::NotFound),
            (404, "NoSuchBucket", ErrorKind::Upstream),
            (412, "PreconditionFailed", ErrorKind::PreconditionFailed),
            (416, "", ErrorKind::RangeNotSatisfiable { size: Some(1234) }),
            (500, "InternalError", ErrorKind::Unavailable),
            (502, "", ErrorKind::NoAnswer),
            (503, "SlowDown", ErrorKind::Unavailable),
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
