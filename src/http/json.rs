//! Reads JSON request bodies of limited size.

mod unique_keys;

use axum::body::Body;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde_json::{Map, Value};

use self::unique_keys::UniqueKeys;
use super::server::UploadIdleTimeout;
use crate::error::GatewayError;

/// Reads a body of at most `limit` bytes as a JSON object without duplicate keys at any depth.
pub async fn object(body: Body, limit: usize) -> Result<Map<String, Value>, GatewayError> {
    let too_large = || GatewayError::SizeExceeded(format!("the body may have {limit} bytes"));
    if http_body::Body::size_hint(&body).lower() > limit as u64 {
        return Err(too_large());
    }
    let bytes = match Limited::new(body, limit).collect().await {
        Ok(collected) => collected.to_bytes(),
        Err(error) if error.is::<LengthLimitError>() => return Err(too_large()),
        Err(error) => return Err(broken_body(error.as_ref())),
    };
    match serde_json::from_slice(&bytes) {
        Ok(UniqueKeys(Value::Object(object))) => Ok(object),
        Ok(UniqueKeys(_)) => Err(GatewayError::BadRequest(
            "the body must be a JSON object".into(),
        )),
        Err(error) => Err(GatewayError::BadRequest(format!(
            "invalid JSON body: {error}"
        ))),
    }
}

/// The error for a body that broke off.
pub fn broken_body(error: &(dyn std::error::Error + 'static)) -> GatewayError {
    if UploadIdleTimeout::caused(error) {
        GatewayError::RequestTimeout
    } else {
        GatewayError::BadRequest("the body did not arrive whole".into())
    }
}
