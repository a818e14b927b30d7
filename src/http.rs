//! Every route, and the order of the middleware.
//!
//! - [`server`]: listeners, connections, limits; calls the router.
//! - [`observe`]: the outermost layer. [`context`]: what it knows of a request. [`forwarded`]: whose
//!   address counts behind trusted proxies.
//! - [`auth`]: the control plane's door. [`cors`], [`rate_limit`]: by configuration.
//! - [`tokens`], [`callbacks`]: the control plane. [`objects`]: the data plane. [`health`], [`openapi`],
//!   [`scrape`]: operations.
//! - [`headers`], [`json`], [`query`], [`referer`]: reading what clients send.

pub mod auth;
pub mod callbacks;
pub mod context;
pub mod cors;
pub mod forwarded;
pub mod headers;
pub mod health;
pub mod json;
pub mod objects;
pub mod observe;
pub mod openapi;
pub mod query;
pub mod rate_limit;
pub mod referer;
pub mod scrape;
pub mod server;
pub mod tokens;

use std::sync::Arc;

use axum::Router;
use axum::middleware::{from_fn, from_fn_with_state, map_response};
use axum::routing::{MethodRouter, get, post};
use tower_http::catch_panic::CatchPanicLayer;

use crate::app::AppState;
use crate::error::GatewayError;

/// The gateway's router. Layers run from the last to the first: observe, CORS, panics, rate limit.
pub fn router(state: AppState) -> Router {
    // Only for a method that the route has: others are a 405 whatever else is wrong with them.
    let strict = |route: MethodRouter<AppState>| route.route_layer(from_fn(query::strict));
    let control = Router::new()
        .route("/token", strict(post(tokens::create)))
        .route(
            "/token/{token}",
            strict(
                get(tokens::show)
                    .patch(tokens::change)
                    .delete(tokens::revoke),
            ),
        )
        .route("/token/{token}/status", strict(get(tokens::status)))
        .route(
            "/tokens",
            strict(
                post(tokens::create_batch)
                    .get(tokens::list)
                    .delete(tokens::delete_matching),
            ),
        )
        .route(
            "/tokens/{token_id}",
            strict(
                get(tokens::show_by_id)
                    .patch(tokens::change_by_id)
                    .delete(tokens::revoke_by_id),
            ),
        )
        .route("/callbacks", strict(get(callbacks::list)))
        .route("/callbacks/replay", strict(post(callbacks::replay_since)))
        .route("/callbacks/{id}", strict(get(callbacks::show)))
        .route("/callbacks/{id}/replay", strict(post(callbacks::replay)))
        .route_layer(from_fn_with_state(
            state.clone(),
            auth::require_control_token,
        ));
    let data = Router::new().route(
        "/object/{token}",
        get(objects::get::get)
            .head(objects::head::head)
            .put(objects::put::put),
    );
    let operations = Router::new()
        .route("/healthz", get(health::healthz))
        .route("/readyz", get(health::readyz))
        .route("/openapi.json", get(openapi::serve));

    let router = Router::new()
        .merge(control)
        .merge(data)
        .merge(operations)
        .fallback(async || GatewayError::NotFound)
        .layer(from_fn_with_state(state.clone(), rate_limit::rate_limit))
        .layer(CatchPanicLayer::custom(observe::panicked));
    let router = match cors::layer(state.cors()) {
        None => router,
        Some(cors) => router.layer(cors),
    };
    router
        .layer(map_response(observe::guard_browsers))
        .layer(from_fn_with_state(
            Arc::clone(state.trusted_proxies()),
            observe::observe,
        ))
        .with_state(state)
}
