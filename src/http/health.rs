//! Whether the process lives, and whether it can work.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use asset_gateway_backends::ErrorKind;
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;
use tokio::sync::Mutex;

use crate::app::AppState;

const CACHED: Duration = Duration::from_secs(5);
const PATIENCE: Duration = Duration::from_secs(2);

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

/// What the process depends on.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct Readiness {
    /// `ok`, `unavailable` or `shutting_down`.
    status: &'static str,
    /// `ok` or `unavailable`.
    token_store: &'static str,
    /// By alias: `ok` or `degraded`. A degraded bucket takes no node out of service.
    buckets: BTreeMap<String, &'static str>,
}

/// The last look at the dependencies.
#[derive(Clone, Default)]
pub struct ReadinessCache(Arc<Mutex<Option<(Instant, Readiness)>>>);

/// Whether this node should get traffic.
#[utoipa::path(get, path = "/readyz", tag = "operations",
    responses((status = 200, description = "ready", body = Readiness),
        (status = 503, description = "the token store is away or cannot write, or the process shuts down",
            body = Readiness)))]
pub async fn readyz(State(state): State<AppState>) -> Response {
    let mut readiness = look(&state).await;
    if state.shutdown().has_begun() {
        readiness.status = "shutting_down";
    }
    if readiness.status == "ok" {
        return Json(readiness).into_response();
    }
    let retry = [(header::RETRY_AFTER, HeaderValue::from_static("5"))];
    // Said in its own words, which are no error body.
    let mut response = (StatusCode::SERVICE_UNAVAILABLE, retry, Json(readiness)).into_response();
    response.extensions_mut().insert(super::observe::OwnBody);
    response
}

async fn look(state: &AppState) -> Readiness {
    // Who comes while somebody looks waits for that look.
    let mut cache = state.readiness().0.lock().await;
    if let Some((at, readiness)) = &*cache
        && at.elapsed() < CACHED
    {
        return readiness.clone();
    }
    let store = tokio::time::timeout(PATIENCE, state.store().ping()).await;
    let store_is_there = matches!(store, Ok(Ok(())));
    let pings = state.buckets().iter().map(|(alias, bucket)| async move {
        let pinged = tokio::time::timeout(PATIENCE, bucket.ping()).await;
        let reachable = match pinged {
            Ok(Ok(())) => true,
            // Any answer of storage means that it is reachable.
            Ok(Err(error)) => !matches!(
                error.kind,
                ErrorKind::NoAnswer | ErrorKind::Unavailable | ErrorKind::Timeout
            ),
            Err(_) => false,
        };
        (alias.to_owned(), if reachable { "ok" } else { "degraded" })
    });
    let word = if store_is_there { "ok" } else { "unavailable" };
    let readiness = Readiness {
        status: word,
        token_store: word,
        buckets: futures_util::future::join_all(pings)
            .await
            .into_iter()
            .collect(),
    };
    *cache = Some((Instant::now(), readiness.clone()));
    readiness
}
