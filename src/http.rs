//! Every route with its documentation, and the order of the middleware.
//!
//! - [`server`]: listeners, connections and their limits; calls the router.
//! - Middleware, outermost first: [`access_log`] (with [`request_context`] and [`forwarded`], the
//!   client's address behind proxies), [`cors`], [`rate_limit`], [`auth`] of the control plane, [`query`].
//! - Handlers: [`tokens`] and [`callbacks`] (control plane), [`objects`] (data plane), [`health`],
//!   [`openapi`] and [`metrics_endpoint`] (operations).
//! - Below them: [`state`], [`readiness`], [`error_responses`], [`headers`], [`json`].

pub mod access_log;
pub mod auth;
pub mod callbacks;
pub mod cors;
pub mod error_responses;
pub mod forwarded;
pub mod headers;
pub mod health;
pub mod json;
pub mod metrics_endpoint;
pub mod objects;
pub mod openapi;
pub mod query;
pub mod rate_limit;
pub mod readiness;
pub mod request_context;
pub mod server;
pub mod state;
pub mod tokens;

use std::sync::Arc;

use axum::Router;
use axum::middleware::{from_fn, from_fn_with_state, map_response};
use tower_http::catch_panic::CatchPanicLayer;
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouter, UtoipaMethodRouterExt};
use utoipa_axum::routes;

use crate::error::GatewayError;
use state::AppState;

fn control_plane() -> OpenApiRouter<AppState> {
    // Checked for methods that the route has: any other is a 405, whatever its query string.
    let strict = |routes: UtoipaMethodRouter<AppState>| {
        routes.map(|route| route.route_layer(from_fn(query::strict)))
    };
    OpenApiRouter::new()
        .routes(strict(routes!(tokens::create)))
        .routes(strict(routes!(
            tokens::show,
            tokens::change,
            tokens::revoke
        )))
        .routes(strict(routes!(tokens::status)))
        .routes(strict(routes!(
            tokens::batch::create_batch,
            tokens::listing::list,
            tokens::listing::delete_matching
        )))
        .routes(strict(routes!(
            tokens::show_by_id,
            tokens::change_by_id,
            tokens::revoke_by_id
        )))
        .routes(strict(routes!(callbacks::list)))
        .routes(strict(routes!(callbacks::replay_since)))
        .routes(strict(routes!(callbacks::show)))
        .routes(strict(routes!(callbacks::replay)))
}

fn data_plane() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(
        objects::get::get,
        objects::head::head,
        objects::put::put
    ))
}

fn operations() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(health::healthz))
        .routes(routes!(health::readyz))
}

/// The gateway's router. Layers run from the last to the first.
pub fn router(state: AppState) -> Router {
    let require_token = from_fn_with_state(state.clone(), auth::require_control_token);
    let (router, document) = OpenApiRouter::with_openapi(openapi::base())
        .merge(control_plane().route_layer(require_token))
        .merge(data_plane())
        .merge(operations())
        .split_for_parts();
    let router = router
        .route("/openapi.json", openapi::route(&document))
        .fallback(async || GatewayError::NotFound)
        .layer(from_fn_with_state(
            state.client_limiter.clone(),
            rate_limit::rate_limit,
        ))
        .layer(CatchPanicLayer::custom(access_log::answer_panic));
    let router = match cors::layer(&state.cors) {
        None => router,
        Some(cors) => router.layer(cors),
    };
    router
        .layer(map_response(access_log::add_security_headers))
        .layer(from_fn_with_state(
            Arc::clone(&state.trusted_proxies),
            access_log::log_access,
        ))
        .with_state(state)
}
