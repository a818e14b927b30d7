//! `/openapi.json`: the contract for machines. A test holds it against the router.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::openapi::OpenApi as Document;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::{IntoResponses, Modify, OpenApi, ToSchema};

use super::{health, objects, tokens};
use crate::app::AppState;
use crate::tokens::issue::IssueRequest;

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

/// The answer of an upload.
#[derive(Serialize, ToSchema)]
pub struct Uploaded {
    pub etag: String,
    /// Bytes.
    pub size: u64,
}

/// The body of `POST /tokens`.
#[derive(ToSchema)]
#[allow(dead_code)]
pub struct NewTokens {
    /// 1 to 1,000.
    tokens: Vec<IssueRequest>,
}

/// Errors of every call of the control plane.
#[derive(IntoResponses)]
#[allow(dead_code)]
pub enum ControlErrors {
    /// `bad_request`
    #[response(status = 400)]
    BadRequest(#[to_schema] Error),
    /// `unauthorized`
    #[response(status = 401)]
    Unauthorized(#[to_schema] Error),
    /// `forbidden`
    #[response(status = 403)]
    Forbidden(#[to_schema] Error),
    /// `token_not_found`
    #[response(status = 404)]
    NotFound(#[to_schema] Error),
    /// `rate_limited`
    #[response(status = 429)]
    RateLimited(#[to_schema] Error),
    /// `internal_error`
    #[response(status = 500)]
    Internal(#[to_schema] Error),
    /// `unavailable`
    #[response(status = 503)]
    Unavailable(#[to_schema] Error),
}

/// Errors of calls with a body.
#[derive(IntoResponses)]
#[allow(dead_code)]
pub enum CreateErrors {
    /// `bad_request`
    #[response(status = 400)]
    BadRequest(#[to_schema] Error),
    /// `unauthorized`
    #[response(status = 401)]
    Unauthorized(#[to_schema] Error),
    /// `forbidden`
    #[response(status = 403)]
    Forbidden(#[to_schema] Error),
    /// `token_not_found`
    #[response(status = 404)]
    NotFound(#[to_schema] Error),
    /// `request_timeout`
    #[response(status = 408)]
    Timeout(#[to_schema] Error),
    /// `token_exists`
    #[response(status = 409)]
    Exists(#[to_schema] Error),
    /// `size_exceeded`
    #[response(status = 413)]
    TooLarge(#[to_schema] Error),
    /// `rate_limited`
    #[response(status = 429)]
    RateLimited(#[to_schema] Error),
    /// `internal_error`
    #[response(status = 500)]
    Internal(#[to_schema] Error),
    /// `unavailable`
    #[response(status = 503)]
    Unavailable(#[to_schema] Error),
}

/// Errors of calls that ask storage.
#[derive(IntoResponses)]
#[allow(dead_code)]
pub enum StorageErrors {
    /// `upstream_error`
    #[response(status = 502)]
    Upstream(#[to_schema] Error),
    /// `upstream_timeout`
    #[response(status = 504)]
    UpstreamTimeout(#[to_schema] Error),
}

/// Errors of downloads.
#[derive(IntoResponses)]
#[allow(dead_code)]
pub enum DownloadErrors {
    /// `bad_request`
    #[response(status = 400)]
    BadRequest(#[to_schema] Error),
    /// `access_denied`
    #[response(status = 403)]
    Denied(#[to_schema] Error),
    /// `token_not_found`, `object_not_found`
    #[response(status = 404)]
    NotFound(#[to_schema] Error),
    /// `method_not_allowed`
    #[response(status = 405)]
    Method(#[to_schema] Error),
    /// `hits_exceeded`
    #[response(status = 409)]
    Hits(#[to_schema] Error),
    /// `token_expired`
    #[response(status = 410)]
    Expired(#[to_schema] Error),
    /// `precondition_failed`
    #[response(status = 412)]
    Precondition(#[to_schema] Error),
    /// `range_not_satisfiable`
    #[response(status = 416)]
    Range(#[to_schema] Error),
    /// `rate_limited`
    #[response(status = 429)]
    RateLimited(#[to_schema] Error),
    /// `internal_error`
    #[response(status = 500)]
    Internal(#[to_schema] Error),
    /// `upstream_error`
    #[response(status = 502)]
    Upstream(#[to_schema] Error),
    /// `unavailable`
    #[response(status = 503)]
    Unavailable(#[to_schema] Error),
    /// `upstream_timeout`
    #[response(status = 504)]
    UpstreamTimeout(#[to_schema] Error),
}

/// Errors of uploads.
#[derive(IntoResponses)]
#[allow(dead_code)]
pub enum UploadErrors {
    /// `bad_request`, `bad_digest`
    #[response(status = 400)]
    BadRequest(#[to_schema] Error),
    /// `access_denied`
    #[response(status = 403)]
    Denied(#[to_schema] Error),
    /// `token_not_found`
    #[response(status = 404)]
    NotFound(#[to_schema] Error),
    /// `method_not_allowed`
    #[response(status = 405)]
    Method(#[to_schema] Error),
    /// `request_timeout`
    #[response(status = 408)]
    Timeout(#[to_schema] Error),
    /// `hits_exceeded`
    #[response(status = 409)]
    Hits(#[to_schema] Error),
    /// `token_expired`
    #[response(status = 410)]
    Expired(#[to_schema] Error),
    /// `precondition_failed`
    #[response(status = 412)]
    Precondition(#[to_schema] Error),
    /// `size_exceeded`
    #[response(status = 413)]
    TooLarge(#[to_schema] Error),
    /// `unsupported_media_type`
    #[response(status = 415)]
    Type(#[to_schema] Error),
    /// `rate_limited`
    #[response(status = 429)]
    RateLimited(#[to_schema] Error),
    /// `internal_error`
    #[response(status = 500)]
    Internal(#[to_schema] Error),
    /// `upstream_error`
    #[response(status = 502)]
    Upstream(#[to_schema] Error),
    /// `unavailable`
    #[response(status = 503)]
    Unavailable(#[to_schema] Error),
    /// `upstream_timeout`
    #[response(status = 504)]
    UpstreamTimeout(#[to_schema] Error),
}

struct ControlToken;

impl Modify for ControlToken {
    fn modify(&self, document: &mut Document) {
        let scheme = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("control_token", scheme);
    }
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "AssetGateway",
        description = "A self-hosted temporary access gateway for object storage"
    ),
    paths(
        tokens::create, tokens::show, tokens::change, tokens::revoke, tokens::status,
        tokens::show_by_id, tokens::change_by_id, tokens::revoke_by_id,
        tokens::batch::create_batch, tokens::listing::list, tokens::listing::delete_matching,
        objects::get, objects::head, objects::put,
        health::healthz, health::readyz, serve,
    ),
    components(schemas(Error)),
    modifiers(&ControlToken)
)]
struct Api;

/// The document; made once.
pub fn document() -> Document {
    Api::openapi()
}

/// This document.
#[utoipa::path(get, path = "/openapi.json", tag = "operations",
    responses((status = 200, description = "OpenAPI 3.1")))]
pub async fn serve(State(state): State<AppState>) -> Json<Document> {
    Json(state.openapi().clone())
}
