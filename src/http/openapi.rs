//! `/openapi.json`: the contract for machines. A test holds it against the router.

mod bounds;

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use serde_json::Value;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::openapi::{ContentBuilder, OpenApi as Document, Ref, RefOr, Response, ResponseBuilder};
use utoipa::{IntoResponses, Modify, OpenApi, ToSchema};

use super::{callbacks, health, objects, tokens};
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

/// The answer of an upload whose callback failed (`callback_mode: sync`).
#[derive(Serialize, ToSchema)]
pub struct CallbackFailed {
    /// `callback_failed`.
    pub code: String,
    /// How it failed, and whether it is tried again.
    pub message: String,
    /// As in the header `X-Request-Id`.
    pub request_id: String,
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

/// What the errors of some calls have in common: status and codes.
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
        callbacks::list, callbacks::show, callbacks::replay, callbacks::replay_since,
        objects::get::get, objects::head::head, objects::put::put,
        health::healthz, health::readyz, serve,
    ),
    components(schemas(Error)),
    modifiers(&ControlToken)
)]
struct Api;

/// The document; made once.
pub fn document() -> Value {
    // Text and maps with text for keys: it can always be written.
    let mut document = serde_json::to_value(Api::openapi()).unwrap_or_default();
    bounds::write(&mut document);
    document
}

/// This document.
#[utoipa::path(get, path = "/openapi.json", tag = "operations",
    responses((status = 200, description = "OpenAPI 3.1")))]
pub async fn serve(State(state): State<AppState>) -> Json<Value> {
    Json(state.openapi().clone())
}
