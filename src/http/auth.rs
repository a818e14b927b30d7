//! Middleware of the control plane: requires a control token.

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::{HeaderMap, header};

use super::headers::single;
use crate::error::GatewayError;
use crate::http::state::AppState;

pub async fn require_control_token(
    State(state): State<AppState>,
    request: Request,
    next: Next,
) -> Result<Response, GatewayError> {
    let token = bearer(request.headers())?;
    // Compares all tokens, so that the time does not tell which one matches.
    let tokens = state.control_tokens.iter();
    let is_known = tokens.fold(false, |found, known| {
        found | known.matches(token.as_bytes())
    });
    if !is_known {
        return Err(GatewayError::Forbidden);
    }
    Ok(next.run(request).await)
}

/// The token of `Authorization: Bearer …` (RFC 6750 §2.1).
fn bearer(headers: &HeaderMap) -> Result<&str, GatewayError> {
    let value = single(headers, &header::AUTHORIZATION)?.ok_or(GatewayError::Unauthorized)?;
    let (scheme, token) = value.split_once(' ').ok_or(GatewayError::Unauthorized)?;
    let token = token.trim();
    if !scheme.eq_ignore_ascii_case("bearer") || token.is_empty() || token.contains(' ') {
        return Err(GatewayError::Unauthorized);
    }
    Ok(token)
}
