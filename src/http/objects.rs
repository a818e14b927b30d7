//! The data plane: `/object/{token}`.

mod checksum;
pub mod disposition;
pub mod get;
pub mod head;
pub mod put;
pub mod range;
mod representation;
mod response;

use std::sync::Arc;

use asset_gateway_backends::object_backend::ObjectBackend;
use asset_gateway_backends::token_store::TokenId;
use axum::response::Response;

use super::access_log::LoggedTokenId;
use crate::error::GatewayError;
use crate::http::state::AppState;
use crate::tokens::{Ticket, TokenSecret};

/// Releases the hit of a request that is refused, so that it is free before the client can ask again.
async fn release_then(ticket: Ticket, error: GatewayError) -> GatewayError {
    match ticket.release().await {
        Ok(()) => error,
        Err(failed) => GatewayError::store(failed),
    }
}

fn parse(token: &str) -> Result<TokenSecret, GatewayError> {
    TokenSecret::parse(token).ok_or(GatewayError::TokenNotFound)
}

/// The bucket of a token; its alias may have left the configuration since the token was made.
fn bucket<'a>(
    state: &'a AppState,
    alias: &str,
) -> Result<&'a Arc<dyn ObjectBackend>, GatewayError> {
    state.buckets().get(alias).ok_or_else(|| {
        GatewayError::Unavailable(format!("the bucket `{alias}` is no longer configured"))
    })
}

fn about(mut response: Response, id: TokenId) -> Response {
    response.extensions_mut().insert(LoggedTokenId(id));
    response
}
