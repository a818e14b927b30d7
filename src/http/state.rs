//! State that all handlers share.

use std::ops::Deref;
use std::sync::Arc;

use asset_gateway_backends::callback_queue::CallbackQueue;
use asset_gateway_backends::object_backend::ObjectBackend;
use asset_gateway_backends::token_store::TokenStore;
use ipnet::IpNet;

use super::rate_limit::ClientLimiter;
use super::readiness::ReadinessCache;
use crate::buckets::Buckets;
use crate::callbacks::{CircuitBreaker, Deliverer, HeadEventThrottle, TargetPolicy};
use crate::config::{ControlToken, CorsConfig, UnknownFields};
use crate::error::GatewayError;
use crate::shutdown::Shutdown;
use crate::tokens::Redeemer;

/// What [`AppState`] is built from.
pub struct Dependencies {
    pub redeemer: Redeemer,
    pub circuit_breaker: Arc<CircuitBreaker>,
    /// Delivers the callbacks that uploads wait for.
    pub deliverer: Arc<Deliverer>,
    /// Which URLs callbacks may have.
    pub target_policy: Arc<TargetPolicy>,
    pub buckets: Buckets,
    pub control_tokens: Vec<ControlToken>,
    pub unknown_fields: UnknownFields,
    /// Base of the URLs that the gateway hands out, without a trailing slash.
    pub public_base: String,
    pub trusted_proxies: Arc<[IpNet]>,
    pub cors: CorsConfig,
    pub client_limiter: ClientLimiter,
    pub shutdown: Shutdown,
}

/// Clones are cheap and share everything.
#[derive(Clone)]
pub struct AppState(Arc<Inner>);

struct Inner {
    dependencies: Dependencies,
    readiness: ReadinessCache,
    head_event_throttle: HeadEventThrottle,
}

impl Deref for AppState {
    type Target = Dependencies;

    fn deref(&self) -> &Dependencies {
        &self.0.dependencies
    }
}

impl AppState {
    pub fn new(dependencies: Dependencies) -> Self {
        Self(Arc::new(Inner {
            dependencies,
            readiness: ReadinessCache::default(),
            head_event_throttle: HeadEventThrottle::default(),
        }))
    }

    pub fn store(&self) -> &Arc<dyn TokenStore> {
        &self.redeemer.store
    }

    pub fn callbacks(&self) -> &Arc<dyn CallbackQueue> {
        self.circuit_breaker.queue()
    }

    /// The bucket of a token, whose alias may have left the configuration since the token was made.
    pub fn bucket(&self, alias: &str) -> Result<&Arc<dyn ObjectBackend>, GatewayError> {
        self.buckets.get(alias).ok_or_else(|| {
            GatewayError::Unavailable(format!("the bucket `{alias}` is no longer configured"))
        })
    }

    pub fn readiness(&self) -> &ReadinessCache {
        &self.0.readiness
    }

    pub fn head_event_throttle(&self) -> &HeadEventThrottle {
        &self.0.head_event_throttle
    }
}
