//! Middleware: request rate limit for each client (`limits.requests_per_second_per_client`).

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use asset_gateway_backends::client_address::ClientAddress;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};

use super::request_context::RequestContext;
use crate::error::GatewayError;

/// Idle clients are removed each time this many requests have been counted.
const PRUNE_INTERVAL_REQUESTS: u32 = 10_000;

/// Allows each client a number of requests per second, and as many in one burst. A client is a
/// [`ClientAddress::network`]; all clients with unknown addresses share one limit.
#[derive(Clone, Default)]
pub struct ClientLimiter(Option<Arc<Limiter>>);

struct Limiter {
    clients: DefaultKeyedRateLimiter<ClientAddress>,
    requests: AtomicU32,
}

impl ClientLimiter {
    /// 0: no limit.
    pub fn new(requests_per_second: u32) -> Self {
        Self(NonZeroU32::new(requests_per_second).map(|limit| {
            Arc::new(Limiter {
                clients: RateLimiter::keyed(Quota::per_second(limit)),
                requests: AtomicU32::new(0),
            })
        }))
    }

    fn admits(&self, client: ClientAddress) -> bool {
        let Some(limiter) = &self.0 else {
            return true;
        };
        if limiter.requests.fetch_add(1, Ordering::Relaxed) % PRUNE_INTERVAL_REQUESTS
            == PRUNE_INTERVAL_REQUESTS - 1
        {
            limiter.clients.retain_recent();
        }
        limiter.clients.check_key(&client.network()).is_ok()
    }
}

pub async fn rate_limit(
    State(limiter): State<ClientLimiter>,
    request: Request,
    next: Next,
) -> Result<Response, GatewayError> {
    let context = request.extensions().get::<RequestContext>();
    if context.is_some_and(|context| !limiter.admits(context.client_ip)) {
        return Err(GatewayError::RateLimited);
    }
    Ok(next.run(request).await)
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;

    #[test]
    fn each_client_has_its_own_rate_limit() {
        let limiter = ClientLimiter::new(2);
        let client = |ip: &str| ClientAddress::from(ip.parse::<IpAddr>().unwrap());
        let admits = |ip: &str| limiter.admits(client(ip));
        assert!(admits("1.1.1.1") && admits("1.1.1.1"));
        assert!(!admits("1.1.1.1"));
        assert!(admits("2.2.2.2"));
        assert!(admits("2001:db8::1") && admits("2001:db8::2"));
        assert!(!admits("2001:db8::3"));
        let unknown = || limiter.admits(ClientAddress::Unknown);
        assert!(unknown() && unknown() && !unknown());
        assert!(ClientLimiter::new(0).admits(client("1.1.1.1")));
    }
}
