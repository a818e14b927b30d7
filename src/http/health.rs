//! `/healthz` and `/readyz`: liveness of the process, and readiness for traffic.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;

use super::access_log::OwnErrorBody;
use super::readiness::Readiness;
use super::state::AppState;

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Health {
    status: &'static str,
}

/// The process lives.
#[utoipa::path(get, path = "/healthz", tag = "operations",
    responses((status = 200, description = "the process lives", body = Health)))]
pub async fn healthz() -> Json<Health> {
    Json(Health { status: "ok" })
}

/// Whether this node should get traffic.
#[utoipa::path(get, path = "/readyz", tag = "operations",
    responses((status = 200, description = "ready", body = Readiness),
        (status = 503, description = "the token store is away or cannot write, or the process shuts down",
            body = Readiness)))]
pub async fn readyz(State(state): State<AppState>) -> Response {
    let store = state.store().as_ref();
    let mut readiness = state.readiness().check(store, &state.buckets).await;
    if state.shutdown.has_begun() {
        readiness.status = "shutting_down";
    }
    if readiness.status == "ok" {
        return Json(readiness).into_response();
    }
    let retry = [(header::RETRY_AFTER, HeaderValue::from_static("5"))];
    let mut response = (StatusCode::SERVICE_UNAVAILABLE, retry, Json(readiness)).into_response();
    response.extensions_mut().insert(OwnErrorBody);
    response
}
