//! The SDK's errors to ours. Their text holds no header of a request or a response.

use std::error::Error as StdError;
use std::time::Duration;

use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};

use crate::error::{BackendError, ErrorKind};
use crate::object_backend::remote::acknowledgement::NotAcknowledged;
use crate::object_backend::remote::not_sent::is_not_sent;
use crate::object_backend::remote::redact::{error_chain, redact};
use crate::object_backend::remote::response::error_response::is_passing_conflict;
use crate::object_backend::remote::response::headers::parse_retry_after;

/// Whether storage sent a response of any status.
pub fn is_response<E>(error: &SdkError<E, HttpResponse>) -> bool {
    error.raw_response().is_some()
}

/// Another writer was quicker, or the key was taken: stores differ in what 409 means.
pub fn is_conflict<E>(error: &SdkError<E, HttpResponse>) -> bool {
    status(error) == Some(409)
}

/// The object or the upload does not exist.
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
        false => BackendError::with_source(kind, operation, message(error)),
    }
}

/// Storage, or the caller of the adapter, breaks the protocol.
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
            return match is_not_sent(error) {
                true => ErrorKind::Unavailable,
                false => ErrorKind::NoAnswer,
            };
        }
        // The response began, and broke.
        SdkError::ResponseError(_) => return ErrorKind::NoAnswer,
        _ => {}
    }
    match status(error) {
        Some(304) => ErrorKind::NotModified,
        Some(412) => ErrorKind::PreconditionFailed,
        Some(416) => ErrorKind::RangeNotSatisfiable { size: None },
        // The bucket or the upload is missing, not the object.
        Some(404) if matches!(code, "NoSuchBucket" | "NoSuchUpload") => ErrorKind::Upstream,
        Some(404) => ErrorKind::NotFound,
        Some(400) if code == "KeyTooLongError" => ErrorKind::InvalidKey,
        Some(502 | 504) => ErrorKind::NoAnswer,
        Some(429 | 503) => ErrorKind::Busy {
            retry_after: retry_after(error),
        },
        Some(409) if is_passing_conflict(code) => ErrorKind::Busy { retry_after: None },
        Some(500) => ErrorKind::Unavailable,
        // CompleteMultipartUpload begins to answer before the end of its work.
        Some(200) => match code {
            "SlowDown" | "ServiceUnavailable" => ErrorKind::Busy { retry_after: None },
            "InternalError" => ErrorKind::Unavailable,
            // Neither storage's error nor its success.
            "" => ErrorKind::NoAnswer,
            _ => ErrorKind::Upstream,
        },
        Some(_) | None => ErrorKind::Upstream,
    }
}

fn retry_after<E>(error: &SdkError<E, HttpResponse>) -> Option<Duration> {
    parse_retry_after(error.raw_response()?.headers().get("retry-after")?)
}

/// The HTTP client rejected the response: it is not storage's own.
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

/// Storage's code and message, or the error of the connection.
fn message<E>(error: &SdkError<E, HttpResponse>) -> String
where
    E: ProvideErrorMetadata + StdError + 'static,
{
    let text = match (status(error), error.code()) {
        (Some(status), Some(code)) => {
            format!("{status} {code}: {}", error.message().unwrap_or_default())
        }
        (Some(status), None) => format!("{status}: {}", error_chain(error)),
        (None, _) => error_chain(error),
    };
    redact(&text)
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
            .expect("a response");
        let metadata = ErrorMetadata::builder()
            .code(code)
            .message("see http://s/b/k?X-Amz-Signature=secret for it")
            .build();
        SdkError::service_error(
            GetObjectError::generic(metadata),
            HttpResponse::try_from(raw).expect("a response"),
        )
    }

    const BUSY: ErrorKind = ErrorKind::Busy { retry_after: None };

    #[test]
    fn each_status_and_code_has_its_kind() {
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
        assert!(is_response(&answered(503, "")));
    }

    #[test]
    fn an_error_text_holds_no_header_body_or_query() {
        let error = backend_error("get", &answered(403, "SignatureDoesNotMatch"));
        let text = format!("{error} {error:?}");
        assert!(text.contains("403 SignatureDoesNotMatch"), "{text}");
        assert!(!text.contains("secret"), "{text}");
    }
}
