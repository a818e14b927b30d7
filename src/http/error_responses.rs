//! OpenAPI schemas of error responses; `crate::error` makes the responses.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::openapi::{ContentBuilder, Ref, RefOr, Response, ResponseBuilder};
use utoipa::{IntoResponses, ToSchema};

/// Every error.
#[derive(Serialize, ToSchema)]
pub struct Error {
    /// A stable word.
    pub code: String,
    /// What to change.
    pub message: String,
    /// As in the header `X-Request-Id`.
    pub request_id: String,
}

/// Declares a set of error responses: each status with its codes.
macro_rules! errors {
    ($($(#[$doc:meta])* $name:ident: $($status:literal $codes:literal),+;)+) => {$(
        $(#[$doc])*
        pub struct $name;

        impl IntoResponses for $name {
            fn responses() -> BTreeMap<String, RefOr<Response>> {
                [$(($status, $codes)),+].map(error).into()
            }
        }
    )+};
}

errors! {
    /// Errors of every call of the control plane.
    ControlErrors: 400 "bad_request", 401 "unauthorized", 403 "forbidden", 404 "token_not_found",
        429 "rate_limited", 500 "internal_error", 503 "unavailable";
    /// Errors of its calls with a body.
    CreateErrors: 400 "bad_request", 401 "unauthorized", 403 "forbidden", 404 "token_not_found",
        408 "request_timeout", 409 "token_exists", 413 "size_exceeded", 429 "rate_limited",
        500 "internal_error", 503 "unavailable";
    /// Errors of calls about callbacks.
    CallbackErrors: 400 "bad_request", 401 "unauthorized", 403 "forbidden",
        404 "callback_not_found", 429 "rate_limited", 500 "internal_error", 503 "unavailable";
    /// Errors of calls that ask storage.
    StorageErrors: 502 "upstream_error", 504 "upstream_timeout";
    /// Errors of downloads.
    DownloadErrors: 400 "bad_request", 403 "access_denied",
        404 "token_not_found, object_not_found", 405 "method_not_allowed", 409 "hits_exceeded",
        410 "token_expired", 412 "precondition_failed", 416 "range_not_satisfiable",
        429 "rate_limited", 500 "internal_error", 502 "upstream_error", 503 "unavailable",
        504 "upstream_timeout";
    /// Errors of uploads.
    UploadErrors: 400 "bad_request, bad_digest", 403 "access_denied", 404 "token_not_found",
        405 "method_not_allowed", 408 "request_timeout", 409 "hits_exceeded", 410 "token_expired",
        412 "precondition_failed", 413 "size_exceeded", 415 "unsupported_media_type",
        429 "rate_limited", 500 "internal_error", 502 "upstream_error", 503 "unavailable",
        504 "upstream_timeout";
}

fn error((status, codes): (u16, &str)) -> (String, RefOr<Response>) {
    let schema = Ref::from_schema_name("Error");
    let content = ContentBuilder::new().schema(Some(schema)).build();
    let response = ResponseBuilder::new()
        .description(format!("`{}`", codes.replace(", ", "`, `")))
        .content("application/json", content)
        .build();
    (status.to_string(), response.into())
}
