//! The OpenAPI document: what the routes do not say themselves, and `/openapi.json`.
//!
//! A test holds the document against the router.

mod constraints;

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::routing::{MethodRouter, get};
use serde_json::Value;
use utoipa::openapi::OpenApi as Document;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::{Modify, OpenApi};

use super::error_responses::Error;

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
    paths(serve),
    components(schemas(Error)),
    modifiers(&ControlToken)
)]
struct Base;

/// The document without the routes of the other modules.
pub fn base() -> Document {
    Base::openapi()
}

/// The route of `/openapi.json`. `document`: [`base`] and every other route.
pub fn route<S: Clone + Send + Sync + 'static>(document: &Document) -> MethodRouter<S> {
    // Cannot fail: all keys are text.
    let mut document = serde_json::to_value(document).unwrap_or_default();
    constraints::add(&mut document);
    get(serve).with_state(Arc::new(document))
}

/// This document.
#[utoipa::path(get, path = "/openapi.json", tag = "operations",
    responses((status = 200, description = "OpenAPI 3.1")))]
async fn serve(State(document): State<Arc<Value>>) -> Json<Value> {
    Json(Value::clone(&document))
}
