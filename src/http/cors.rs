//! Which sites' pages may use the gateway from a browser.

use crate::config::CorsConfig;
use http::{HeaderName, HeaderValue, Method, header};
use tower_http::cors::{AllowHeaders, AllowMethods, AllowOrigin, CorsLayer, ExposeHeaders};

/// `None` where no origin is allowed. Preflights are answered here and ask nothing of the store.
pub fn layer(config: &CorsConfig) -> Option<CorsLayer> {
    if config.allowed_origins.is_empty() {
        return None;
    }
    let origins = if config.allows_any() {
        AllowOrigin::any()
    } else {
        let origins = config.allowed_origins.iter();
        AllowOrigin::list(origins.filter_map(|o| HeaderValue::from_str(o).ok()))
    };
    Some(
        CorsLayer::new()
            .allow_origin(origins)
            .allow_methods(AllowMethods::list([
                Method::GET,
                Method::HEAD,
                Method::PUT,
                Method::POST,
                Method::PATCH,
                Method::DELETE,
            ]))
            .allow_headers(AllowHeaders::mirror_request())
            .expose_headers(ExposeHeaders::list([
                header::ETAG,
                header::CONTENT_RANGE,
                header::CONTENT_DISPOSITION,
                header::ACCEPT_RANGES,
                header::RETRY_AFTER,
                HeaderName::from_static("x-request-id"),
            ]))
            .vary([header::ORIGIN])
            .max_age(config.max_age()),
    )
}
