//! Handlers of `GET /tokens` and `DELETE /tokens`: lists or revokes the tokens that match a filter.

use asset_gateway_backends::token_store::{Filter, Method, TokenState};
use axum::Json;
use axum::extract::RawQuery;
use axum::extract::State;
use serde::Serialize;

use super::view::TokenView;
use crate::error::GatewayError;
use crate::http::error_responses::ControlErrors;
use crate::http::query;
use crate::http::state::AppState;

/// A page of tokens, without their secrets.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = TokenPage)]
pub struct PageView {
    tokens: Vec<TokenView>,
    /// Where the next page begins; `null` on the last. A page may be short, even empty, and
    /// still have one.
    cursor: Option<String>,
}

/// How many were revoked.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Deleted {
    deleted: u64,
}

#[derive(Debug, Default)]
struct Query {
    filter: Filter,
    limit: Option<usize>,
    cursor: Option<String>,
    /// `all=true`: the whole bucket.
    all: bool,
}

fn read(query: Option<&str>, known: &[&str]) -> Result<Query, GatewayError> {
    let mut read = Query::default();
    for (name, value) in query::parameters(query, known)? {
        let bad = |expected| query::invalid(&name, expected);
        match name.as_str() {
            "bucket" => read.filter.bucket = Some(value),
            "prefix" => read.filter.prefix = Some(value),
            "tag" => read.filter.tag = Some(value),
            "cursor" => read.cursor = Some(value),
            "all" if value == "true" => read.all = true,
            "all" => return Err(bad("true, or left out")),
            "method" => {
                read.filter.method = Some(match value.as_str() {
                    "GET" => Method::Get,
                    "HEAD" => Method::Head,
                    "PUT" => Method::Put,
                    _ => return Err(bad("GET, HEAD or PUT")),
                });
            }
            "state" => {
                read.filter.state = Some(match value.as_str() {
                    "active" => TokenState::Active,
                    "expired" => TokenState::Expired,
                    "exhausted" => TokenState::Exhausted,
                    _ => return Err(bad("active, expired or exhausted")),
                });
            }
            _ => read.limit = Some(query::limit(&value)?),
        }
    }
    if read.filter.prefix.is_some() && read.filter.bucket.is_none() {
        return Err(GatewayError::BadRequest(
            "prefix: can only be used together with bucket".into(),
        ));
    }
    Ok(read)
}

/// Lists tokens.
#[utoipa::path(get, path = "/tokens", tag = "control plane",
    params(("bucket" = Option<String>, Query, description = "bucket alias"),
        ("prefix" = Option<String>, Query, description = "beginning of the key; with bucket"),
        ("tag" = Option<String>, Query, description = "a tag"),
        ("method" = Option<String>, Query, description = "GET, HEAD or PUT"),
        ("state" = Option<String>, Query, description = "active, expired or exhausted"),
        ("limit" = Option<u32>, Query, description = "1 to 1000, default 100"),
        ("cursor" = Option<String>, Query, description = "of the page before")),
    responses((status = 200, description = "a page", body = PageView), ControlErrors),
    security(("control_token" = [])))]
pub async fn list(
    State(state): State<AppState>,
    RawQuery(query): RawQuery,
) -> Result<Json<PageView>, GatewayError> {
    let known = [
        "bucket", "prefix", "tag", "method", "state", "limit", "cursor",
    ];
    let query = read(query.as_deref(), &known)?;
    let limit = query.limit.unwrap_or(query::DEFAULT_PAGE_ROWS);
    let cursor = query.cursor.as_deref();
    let page = state.store().list(&query.filter, limit, cursor).await;
    let page = page
        .map_err(GatewayError::store)?
        .ok_or_else(|| GatewayError::BadRequest("cursor: is not one of this listing".into()))?;
    let tokens = page.tokens.into_iter();
    Ok(Json(PageView {
        tokens: tokens.map(|t| TokenView::new(&state, None, t)).collect(),
        cursor: page.cursor,
    }))
}

/// Refuses a filter that does not tell clearly what to revoke: a whole bucket needs `all=true`, and `all`
/// allows neither prefix nor tag.
fn check_revocation(query: &Query) -> Result<(), GatewayError> {
    let Filter {
        bucket,
        prefix,
        tag,
        method: _,
        state: _,
    } = &query.filter;
    let narrowed = prefix.is_some() || tag.is_some();
    let refusal = match (query.all, narrowed) {
        (false, true) => return Ok(()),
        (true, false) if bucket.is_some() => return Ok(()),
        (true, false) => "all: can only be used together with bucket",
        (true, true) => "all: cannot be used together with prefix or tag",
        (false, false) => {
            "say which: tag, or bucket and prefix; a whole bucket: bucket and all=true"
        }
    };
    Err(GatewayError::BadRequest(refusal.into()))
}

/// Revokes all tokens with a tag, of a bucket and prefix, or of a whole bucket.
#[utoipa::path(delete, path = "/tokens", tag = "control plane",
    params(("bucket" = Option<String>, Query, description = "bucket alias"),
        ("prefix" = Option<String>, Query, description = "beginning of the key; with bucket"),
        ("tag" = Option<String>, Query, description = "a tag"),
        ("all" = Option<String>, Query, description = "`true`: the whole bucket")),
    responses((status = 200, description = "how many were revoked", body = Deleted), ControlErrors),
    security(("control_token" = [])))]
pub async fn delete_matching(
    State(state): State<AppState>,
    RawQuery(query): RawQuery,
) -> Result<Json<Deleted>, GatewayError> {
    let query = read(query.as_deref(), &["bucket", "prefix", "tag", "all"])?;
    check_revocation(&query)?;
    let deleted = state.store().delete_matching(&query.filter).await;
    let deleted = deleted.map_err(GatewayError::store)?;
    Ok(Json(Deleted { deleted }))
}
