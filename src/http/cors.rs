//! CORS: which origins' pages may use the gateway from a browser.

use crate::config::CorsConfig;
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use tower_http::cors::{AllowHeaders, AllowMethods, AllowOrigin, CorsLayer, ExposeHeaders};

/// Response headers that a page may read.
fn exposed() -> [HeaderName; 6] {
    [
        header::ETAG,
        header::CONTENT_RANGE,
        header::CONTENT_DISPOSITION,
        header::ACCEPT_RANGES,
        header::RETRY_AFTER,
        HeaderName::from_static("x-request-id"),
    ]
}

/// `None` where no origin is allowed. The layer answers preflights without a handler.
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
            .expose_headers(ExposeHeaders::list(exposed()))
            .vary([header::ORIGIN])
            .max_age(config.max_age()),
    )
}

/// The layer's headers for an answer to a request that could not be read. `origin` where it was read.
pub fn headers_without_layer(config: &CorsConfig, origin: Option<&[u8]>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    if config.allowed_origins.is_empty() {
        return headers;
    }
    headers.insert(header::VARY, HeaderValue::from_static("origin"));
    let exposed = exposed().map(|name| name.to_string()).join(",");
    if let Ok(exposed) = HeaderValue::from_str(&exposed) {
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, exposed);
    }
    let is_allowed = |origin: &&[u8]| {
        let mut allowed = config.allowed_origins.iter();
        allowed.any(|allowed| allowed.as_bytes() == *origin)
    };
    let allowed = if config.allows_any() {
        Some(b"*".as_slice())
    } else {
        origin.filter(is_allowed)
    };
    if let Some(Ok(allowed)) = allowed.map(HeaderValue::from_bytes) {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, allowed);
    }
    headers
}
