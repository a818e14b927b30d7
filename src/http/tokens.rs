//! Handlers of `/token` and `/tokens/{token_id}`: create, show, change and revoke a token.

pub(super) mod batch;
pub(super) mod listing;
mod view;

use asset_gateway_backends::ErrorKind;
use asset_gateway_backends::object_backend::GetOptions;
use asset_gateway_backends::token_store::{Created, Method, StoredToken, TokenId, TokenRecord};
use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use http::StatusCode;
use serde_json::{Map, Value};

use super::access_log::LoggedTokenId;
use super::error_responses::{ControlErrors, CreateErrors};
use super::json;
use crate::error::GatewayError;
use crate::http::state::AppState;
use crate::tokens::TokenSecret;
use crate::tokens::issue::{self, IssueRequest, PatchRequest};
use view::{CreatedView, StatusView, TokenView};

/// Limit for requests about one token.
const BODY_LIMIT_BYTES: usize = 256 * 1024;

/// Makes a token.
#[utoipa::path(post, path = "/token", tag = "control plane", request_body = IssueRequest,
    responses((status = 201, description = "made", body = CreatedView), CreateErrors),
    security(("control_token" = [])))]
pub async fn create(State(state): State<AppState>, body: Body) -> Result<Response, GatewayError> {
    let body = json::object(body, BODY_LIMIT_BYTES).await?;
    let (token, id, record) = prepare(&state, body)?;
    let view = CreatedView::new(&state, &token, id, &record);
    match state.store().create(vec![(id, record)]).await {
        Ok(Created::Done) => Ok(answer(id, (StatusCode::CREATED, Json(view)))),
        Ok(Created::Exists { .. }) => Err(GatewayError::TokenExists),
        Err(error) => Err(GatewayError::store(error)),
    }
}

/// Checks a request, and generates a token unless the request has one.
fn prepare(
    state: &AppState,
    body: Map<String, Value>,
) -> Result<(TokenSecret, TokenId, TokenRecord), GatewayError> {
    let now = state.redeemer.clock.now_seconds();
    let issue = issue::check(
        body,
        state.unknown_fields,
        &state.buckets,
        &state.target_policy,
        now,
    )?;
    let token = match issue.token {
        Some(token) => token,
        None => TokenSecret::generate().map_err(|e| GatewayError::Internal(e.to_string()))?,
    };
    let id = state.redeemer.digester.id(&token);
    Ok((token, id, issue.record))
}

/// An answer whose access log line has the token's id.
fn answer(id: TokenId, body: impl IntoResponse) -> Response {
    (Extension(LoggedTokenId(id)), body).into_response()
}

/// A token that a path names by itself or by its id.
pub struct NamedToken {
    id: TokenId,
    /// `None` where the path has the id.
    token: Option<TokenSecret>,
}

fn by_token(state: &AppState, token: &str) -> Result<NamedToken, GatewayError> {
    let token = TokenSecret::parse(token).ok_or(GatewayError::TokenNotFound)?;
    Ok(NamedToken {
        id: state.redeemer.digester.id(&token),
        token: Some(token),
    })
}

fn by_id(id: &str) -> Result<NamedToken, GatewayError> {
    let id = id.parse().map_err(|_| GatewayError::TokenNotFound)?;
    Ok(NamedToken { id, token: None })
}

async fn load(state: &AppState, named: &NamedToken) -> Result<StoredToken, GatewayError> {
    let stored = state.store().get(named.id).await;
    stored
        .map_err(GatewayError::store)?
        .ok_or(GatewayError::TokenNotFound)
}

async fn answer_record(state: &AppState, named: NamedToken) -> Result<Response, GatewayError> {
    let stored = load(state, &named).await?;
    let view = TokenView::new(state, named.token.as_ref(), stored);
    Ok(answer(named.id, Json(view)))
}

async fn apply_patch(
    state: &AppState,
    named: NamedToken,
    body: Body,
) -> Result<Response, GatewayError> {
    let body = json::object(body, BODY_LIMIT_BYTES).await?;
    let now = state.redeemer.clock.now_seconds();
    let patch = issue::check_patch(body, state.unknown_fields, &state.target_policy, now)?;
    let patched = state.store().patch(named.id, patch).await;
    let stored = patched
        .map_err(GatewayError::store)?
        .ok_or(GatewayError::TokenNotFound)?;
    let view = TokenView::new(state, named.token.as_ref(), stored);
    Ok(answer(named.id, Json(view)))
}

async fn delete(state: &AppState, named: NamedToken) -> Result<Response, GatewayError> {
    match state.store().delete(named.id).await {
        Ok(true) => Ok(answer(named.id, StatusCode::NO_CONTENT)),
        Ok(false) => Err(GatewayError::TokenNotFound),
        Err(error) => Err(GatewayError::store(error)),
    }
}

/// The record of a token.
#[utoipa::path(get, path = "/token/{token}", tag = "control plane",
    params(("token" = String, Path, description = "temporary token")),
    responses((status = 200, description = "the record", body = TokenView), ControlErrors),
    security(("control_token" = [])))]
pub async fn show(
    State(state): State<AppState>,
    Path(token): Path<String>,
) -> Result<Response, GatewayError> {
    answer_record(&state, by_token(&state, &token)?).await
}

/// Changes expiry, hits, callback or metadata of a token; revives an expired one within 24 h.
#[utoipa::path(patch, path = "/token/{token}", tag = "control plane", request_body = PatchRequest,
    params(("token" = String, Path, description = "temporary token")),
    responses((status = 200, description = "the record as it is now", body = TokenView), CreateErrors),
    security(("control_token" = [])))]
pub async fn change(
    State(state): State<AppState>,
    Path(token): Path<String>,
    body: Body,
) -> Result<Response, GatewayError> {
    apply_patch(&state, by_token(&state, &token)?, body).await
}

/// Revokes a token at once.
#[utoipa::path(delete, path = "/token/{token}", tag = "control plane",
    params(("token" = String, Path, description = "temporary token")),
    responses((status = 204, description = "revoked"), ControlErrors),
    security(("control_token" = [])))]
pub async fn revoke(
    State(state): State<AppState>,
    Path(token): Path<String>,
) -> Result<Response, GatewayError> {
    delete(&state, by_token(&state, &token)?).await
}

/// The record of the token with this `token_id`.
#[utoipa::path(get, path = "/tokens/{token_id}", tag = "control plane",
    params(("token_id" = String, Path, description = "32 hex digits")),
    responses((status = 200, description = "the record", body = TokenView), ControlErrors),
    security(("control_token" = [])))]
pub async fn show_by_id(
    State(state): State<AppState>,
    Path(id): Path<String>,
) -> Result<Response, GatewayError> {
    answer_record(&state, by_id(&id)?).await
}

/// As `PATCH /token/{token}`.
#[utoipa::path(patch, path = "/tokens/{token_id}", tag = "control plane", request_body = PatchRequest,
    params(("token_id" = String, Path, description = "32 hex digits")),
    responses((status = 200, description = "the record as it is now", body = TokenView), CreateErrors),
    security(("control_token" = [])))]
pub async fn change_by_id(
    State(state): State<AppState>,
    Path(id): Path<String>,
    body: Body,
) -> Result<Response, GatewayError> {
    apply_patch(&state, by_id(&id)?, body).await
}

/// As `DELETE /token/{token}`.
#[utoipa::path(delete, path = "/tokens/{token_id}", tag = "control plane",
    params(("token_id" = String, Path, description = "32 hex digits")),
    responses((status = 204, description = "revoked"), ControlErrors),
    security(("control_token" = [])))]
pub async fn revoke_by_id(
    State(state): State<AppState>,
    Path(id): Path<String>,
) -> Result<Response, GatewayError> {
    delete(&state, by_id(&id)?).await
}

/// The record of a token and whether its object is there.
#[utoipa::path(get, path = "/token/{token}/status", tag = "control plane",
    params(("token" = String, Path, description = "temporary token")),
    responses((status = 200, description = "record and object", body = StatusView),
        ControlErrors, super::error_responses::StorageErrors),
    security(("control_token" = [])))]
pub async fn status(
    State(state): State<AppState>,
    Path(token): Path<String>,
) -> Result<Response, GatewayError> {
    let named = by_token(&state, &token)?;
    let stored = load(&state, &named).await?;
    let object = match state.buckets.get(&stored.record.bucket) {
        None => None,
        Some(bucket) => {
            match bucket
                .head(&stored.record.key, &GetOptions::default())
                .await
            {
                Ok(meta) => Some(meta),
                // No object can exist under an invalid key.
                Err(error) if matches!(error.kind, ErrorKind::NotFound | ErrorKind::InvalidKey) => {
                    None
                }
                Err(error) => return Err(GatewayError::storage(error)),
            }
        }
    };
    // A PUT token counts its own upload only; for others any object counts.
    let uploaded =
        object.is_some() && (stored.record.method != Method::Put || stored.uploaded_at.is_some());
    let view = StatusView::new(&state, named.token.as_ref(), stored, uploaded, object);
    Ok(answer(named.id, Json(view)))
}
