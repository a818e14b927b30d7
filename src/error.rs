//! Errors as clients see them: the only file that maps failures to status, code and message.
//!
//! What no handler answers, such as a head that cannot be read, is in `http/server/lingering_close.rs`.

use std::time::Duration;

use asset_gateway_backends::token_store::{Method, Refusal};
use asset_gateway_backends::{BackendError, ErrorKind};
use axum::response::{IntoResponse, Response};
use http::{HeaderName, HeaderValue, StatusCode, header};

use crate::tokens::issue::Invalid;
use crate::tokens::lease::LeaseLost;
use crate::tokens::policy::Denied;
use crate::tokens::redeem::NotAdmitted;
use crate::tokens::upload::{Uncounted, UploadError};

/// The error of a request. The message of a 4xx tells what to change; causes of 5xx are logged only.
#[derive(Debug, thiserror::Error)]
pub enum GatewayError {
    #[error("{0}")]
    BadRequest(String),
    #[error("the body does not match the checksum that was sent with it; nothing was stored")]
    BadDigest,
    #[error("send Authorization: Bearer <control token>")]
    Unauthorized,
    #[error("the control token is not valid")]
    Forbidden,
    #[error("{0}")]
    AccessDenied(Denied),
    #[error("there is no such token")]
    TokenNotFound,
    #[error("there is no such object")]
    ObjectNotFound,
    #[error("there is no such callback; one that was delivered is not kept")]
    CallbackNotFound,
    #[error("there is nothing at this address")]
    NotFound,
    #[error("allowed here: {allow}")]
    MethodNotAllowed { allow: &'static str },
    #[error("the request came too slowly; nothing was stored")]
    RequestTimeout,
    #[error("this token is taken")]
    TokenExists,
    #[error(
        "all hits of this token are used, or held by requests under way; or its bytes are, with hit_on: complete"
    )]
    HitsExceeded,
    #[error("this token has expired")]
    TokenExpired,
    #[error("a condition of the request or of the token does not hold for the object")]
    PreconditionFailed,
    #[error("{0}")]
    SizeExceeded(String),
    #[error("{0}")]
    UnsupportedMediaType(String),
    #[error("the range is malformed or lies outside the object")]
    RangeNotSatisfiable { size: Option<u64> },
    #[error("too many requests from this address; try again later")]
    RateLimited,
    #[error("a bug of the gateway; its log has more under this request id")]
    Internal(String),
    #[error("the storage refused the request or broke")]
    Upstream(BackendError),
    #[error("the storage did not answer in time")]
    UpstreamTimeout(BackendError),
    /// Storage is busy, and may tell until when.
    #[error("the storage is busy; try again later")]
    Busy {
        cause: BackendError,
        retry_after: Option<Duration>,
    },
    #[error("the gateway cannot serve this now; try again later")]
    Unavailable(String),
    /// An object that is stored, and why no hit counts it.
    #[error("the object is stored, but no hit counts it: {0}")]
    Uncounted(Box<Self>),
}

/// Response extension from which [`crate::http::access_log`] writes the JSON body with the request id.
#[derive(Debug, Clone)]
pub struct ErrorBody {
    pub code: &'static str,
    pub message: String,
    /// Logged only.
    pub cause: Option<String>,
}

impl GatewayError {
    fn status_and_code(&self) -> (StatusCode, &'static str) {
        use StatusCode as S;
        match self {
            Self::BadRequest(_) => (S::BAD_REQUEST, "bad_request"),
            Self::BadDigest => (S::BAD_REQUEST, "bad_digest"),
            Self::Unauthorized => (S::UNAUTHORIZED, "unauthorized"),
            Self::Forbidden => (S::FORBIDDEN, "forbidden"),
            Self::AccessDenied(_) => (S::FORBIDDEN, "access_denied"),
            Self::TokenNotFound => (S::NOT_FOUND, "token_not_found"),
            Self::ObjectNotFound => (S::NOT_FOUND, "object_not_found"),
            Self::CallbackNotFound => (S::NOT_FOUND, "callback_not_found"),
            Self::NotFound => (S::NOT_FOUND, "not_found"),
            Self::MethodNotAllowed { .. } => (S::METHOD_NOT_ALLOWED, "method_not_allowed"),
            Self::RequestTimeout => (S::REQUEST_TIMEOUT, "request_timeout"),
            Self::TokenExists => (S::CONFLICT, "token_exists"),
            Self::HitsExceeded => (S::CONFLICT, "hits_exceeded"),
            Self::TokenExpired => (S::GONE, "token_expired"),
            Self::PreconditionFailed => (S::PRECONDITION_FAILED, "precondition_failed"),
            Self::SizeExceeded(_) => (S::PAYLOAD_TOO_LARGE, "size_exceeded"),
            Self::UnsupportedMediaType(_) => (S::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type"),
            Self::RangeNotSatisfiable { .. } => (S::RANGE_NOT_SATISFIABLE, "range_not_satisfiable"),
            Self::RateLimited => (S::TOO_MANY_REQUESTS, "rate_limited"),
            Self::Internal(_) => (S::INTERNAL_SERVER_ERROR, "internal_error"),
            Self::Upstream(_) => (S::BAD_GATEWAY, "upstream_error"),
            Self::UpstreamTimeout(_) => (S::GATEWAY_TIMEOUT, "upstream_timeout"),
            Self::Busy { .. } | Self::Unavailable(_) => (S::SERVICE_UNAVAILABLE, "unavailable"),
            Self::Uncounted(why) => why.status_and_code(),
        }
    }

    /// What the log tells beyond the message.
    fn cause(&self) -> Option<String> {
        if let Self::Uncounted(why) = self {
            return why.cause();
        }
        if let Self::Internal(cause) | Self::Unavailable(cause) = self {
            return Some(cause.clone());
        }
        let (Self::Upstream(cause) | Self::UpstreamTimeout(cause) | Self::Busy { cause, .. }) =
            self
        else {
            return None;
        };
        Some(cause.to_string())
    }

    /// The header that the status requires.
    fn header(&self) -> Option<(HeaderName, HeaderValue)> {
        match self {
            Self::MethodNotAllowed { allow } => {
                Some((header::ALLOW, HeaderValue::from_static(allow)))
            }
            Self::Unauthorized => {
                Some((header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer")))
            }
            Self::RangeNotSatisfiable { size: Some(size) } => {
                HeaderValue::try_from(format!("bytes */{size}"))
                    .ok()
                    .map(|value| (header::CONTENT_RANGE, value))
            }
            Self::Busy {
                retry_after: Some(wait),
                ..
            } => Some((
                header::RETRY_AFTER,
                HeaderValue::from(wait.as_secs().max(1)),
            )),
            Self::RateLimited | Self::Unavailable(_) | Self::Busy { .. } => {
                Some((header::RETRY_AFTER, HeaderValue::from_static("1")))
            }
            Self::Uncounted(why) => why.header(),
            Self::BadRequest(_)
            | Self::BadDigest
            | Self::Forbidden
            | Self::AccessDenied(_)
            | Self::TokenNotFound
            | Self::ObjectNotFound
            | Self::CallbackNotFound
            | Self::NotFound
            | Self::RequestTimeout
            | Self::TokenExists
            | Self::HitsExceeded
            | Self::TokenExpired
            | Self::PreconditionFailed
            | Self::SizeExceeded(_)
            | Self::UnsupportedMediaType(_)
            | Self::RangeNotSatisfiable { size: None }
            | Self::Internal(_)
            | Self::Upstream(_)
            | Self::UpstreamTimeout(_) => None,
        }
    }
}

impl IntoResponse for GatewayError {
    fn into_response(self) -> Response {
        let (status, code) = self.status_and_code();
        let mut response = status.into_response();
        response.headers_mut().extend(self.header());
        response.extensions_mut().insert(ErrorBody {
            code,
            message: self.to_string(),
            cause: self.cause(),
        });
        response
    }
}

impl From<Invalid> for GatewayError {
    fn from(invalid: Invalid) -> Self {
        Self::BadRequest(invalid.0)
    }
}

impl From<Refusal> for GatewayError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::NotFound => Self::TokenNotFound,
            Refusal::Expired => Self::TokenExpired,
            Refusal::Method(method) => Self::MethodNotAllowed {
                allow: match method {
                    Method::Get => "GET, HEAD",
                    Method::Head => "HEAD",
                    Method::Put => "PUT, HEAD",
                },
            },
            Refusal::SizeExceeded { limit } => {
                Self::SizeExceeded(format!("this token takes at most {limit} bytes"))
            }
            Refusal::HitsExceeded => Self::HitsExceeded,
            Refusal::QueueFull => Self::Unavailable("the callback queue is full".into()),
        }
    }
}

impl From<NotAdmitted> for GatewayError {
    fn from(not_admitted: NotAdmitted) -> Self {
        match not_admitted {
            NotAdmitted::Refused(refusal) => refusal.into(),
            NotAdmitted::Denied(denied) => Self::AccessDenied(denied),
            NotAdmitted::CircuitOpen => Self::Unavailable(
                "the receiver of this token's callbacks fails, and too many of them wait".into(),
            ),
            NotAdmitted::Store(error) => Self::store(error),
        }
    }
}

impl From<LeaseLost> for GatewayError {
    fn from(lost: LeaseLost) -> Self {
        match lost {
            LeaseLost::Revoked => Self::TokenNotFound,
            LeaseLost::Lapsed => Self::Unavailable("the lease of the access was lost".into()),
            LeaseLost::Unknown(error) => Self::store(error),
        }
    }
}

impl From<UploadError> for GatewayError {
    fn from(error: UploadError) -> Self {
        match error {
            UploadError::PreconditionFailed => Self::PreconditionFailed,
            UploadError::Preconditions(error) => Self::storage(error),
            UploadError::TooLong { limit } => Refusal::SizeExceeded { limit }.into(),
            UploadError::Storage(error) => Self::writing(error),
            UploadError::TokenStore(error) => Self::store(error),
            UploadError::LeaseLost(lost) => lost.into(),
            UploadError::Uncounted(uncounted) => Self::Uncounted(Box::new(match uncounted {
                Uncounted::Refused(refusal) => refusal.into(),
                Uncounted::Undecided => {
                    Self::Unavailable("an upload whose lease was lost is not recovered yet".into())
                }
                Uncounted::TokenStore(error) => Self::store(error),
            })),
            UploadError::Internal(cause) => Self::Internal(cause),
        }
    }
}

impl GatewayError {
    /// An error of the token store or the callback queue.
    pub fn store(error: BackendError) -> Self {
        if error.kind == ErrorKind::Corrupt {
            return Self::Internal(error.to_string());
        }
        Self::Unavailable(error.to_string())
    }

    /// An error of storage while an object is read. Under an invalid key there is no object.
    pub fn reading(error: BackendError) -> Self {
        if error.kind == ErrorKind::InvalidKey {
            return Self::ObjectNotFound;
        }
        Self::storage(error)
    }

    /// An error of storage while an object is written: an upload asks for no object, so that "not found" is
    /// not a valid answer.
    pub fn writing(error: BackendError) -> Self {
        if matches!(
            error.kind,
            ErrorKind::NotFound | ErrorKind::NotModified | ErrorKind::RangeNotSatisfiable { .. }
        ) {
            return Self::Upstream(error);
        }
        Self::storage(error)
    }

    /// An error of storage. `NotModified` is an answer, not an error.
    pub fn storage(error: BackendError) -> Self {
        match error.kind {
            ErrorKind::NotFound => Self::ObjectNotFound,
            ErrorKind::PreconditionFailed => Self::PreconditionFailed,
            ErrorKind::RangeNotSatisfiable { size } => Self::RangeNotSatisfiable { size },
            ErrorKind::InvalidKey => {
                Self::BadRequest("the bucket cannot hold an object under this key".into())
            }
            ErrorKind::Timeout => Self::UpstreamTimeout(error),
            ErrorKind::Busy { retry_after } => Self::Busy {
                cause: error,
                retry_after,
            },
            ErrorKind::NotModified
            | ErrorKind::NoAnswer
            | ErrorKind::Unavailable
            | ErrorKind::Upstream
            | ErrorKind::Corrupt => Self::Upstream(error),
        }
    }
}
