//! Handler of `POST /tokens`: creates up to 1,000 tokens, all or none.

use asset_gateway_backends::token_store::Created;
use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde::Serialize;
use serde_json::Value;

use super::view::CreatedView;
use super::{json, prepare};
use crate::error::GatewayError;
use crate::http::error_responses::CreateErrors;
use crate::http::state::AppState;
use crate::tokens::issue::IssueRequest;

const MAX_TOKENS: usize = 1_000;
const BODY_LIMIT_BYTES: usize = 8 * 1024 * 1024;

/// The body of `POST /tokens`.
#[derive(utoipa::ToSchema)]
#[allow(dead_code)]
pub struct NewTokens {
    /// 1 to 1,000.
    tokens: Vec<IssueRequest>,
}

/// The answer, in the order of the request.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = CreatedTokens)]
pub struct CreatedBatch {
    tokens: Vec<CreatedView>,
}

/// Makes up to 1,000 tokens, all or none.
#[utoipa::path(post, path = "/tokens", tag = "control plane", request_body = NewTokens,
    responses((status = 201, description = "made, in the order of the request", body = CreatedBatch),
        CreateErrors),
    security(("control_token" = [])))]
pub async fn create_batch(
    State(state): State<AppState>,
    body: Body,
) -> Result<Response, GatewayError> {
    let mut body = json::object(body, BODY_LIMIT_BYTES).await?;
    let tokens = match body.remove("tokens") {
        Some(Value::Array(tokens)) if (1..=MAX_TOKENS).contains(&tokens.len()) => tokens,
        Some(_) | None => {
            return Err(GatewayError::BadRequest(
                "tokens: must be a list of 1 to 1000 objects".into(),
            ));
        }
    };
    if let Some(field) = body.keys().next() {
        let field = field.escape_debug();
        return Err(GatewayError::BadRequest(format!(
            "unknown field `{field}`; known is tokens"
        )));
    }
    let mut views = Vec::with_capacity(tokens.len());
    let mut records = Vec::with_capacity(tokens.len());
    for (index, token) in tokens.into_iter().enumerate() {
        let at = |message: &str| GatewayError::BadRequest(format!("tokens[{index}]: {message}"));
        let Value::Object(token) = token else {
            return Err(at("must be an object"));
        };
        let (token, id, record) = match prepare(&state, token) {
            Ok(prepared) => prepared,
            Err(GatewayError::BadRequest(message)) => return Err(at(&message)),
            Err(error) => return Err(error),
        };
        views.push(CreatedView::new(&state, &token, id, &record));
        records.push((id, record));
    }
    match state.store().create(records).await {
        Ok(Created::Done) => {
            let created = CreatedBatch { tokens: views };
            Ok((StatusCode::CREATED, Json(created)).into_response())
        }
        Ok(Created::Exists { .. }) => Err(GatewayError::TokenExists),
        Err(error) => Err(GatewayError::store(error)),
    }
}
