//! The router of `/metrics`, which has its own listener.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::middleware::{from_fn_with_state, map_response};
use axum::routing::get;
use http::header;

use super::access_log;
use crate::error::GatewayError;
use crate::telemetry::metrics::Metrics;

pub fn router(metrics: Metrics) -> Router {
    Router::new()
        .route("/metrics", get(scrape))
        .fallback(async || GatewayError::NotFound)
        .layer(map_response(access_log::add_security_headers))
        // Scrapers use no trusted proxy.
        .layer(from_fn_with_state(Arc::default(), access_log::log_access))
        .with_state(metrics)
}

async fn scrape(
    State(metrics): State<Metrics>,
) -> ([(header::HeaderName, &'static str); 1], String) {
    let content_type = "text/plain; version=0.0.4; charset=utf-8";
    ([(header::CONTENT_TYPE, content_type)], metrics.render())
}
