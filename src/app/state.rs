//! What every handler may use.

use std::sync::Arc;

use asset_gateway_backends::callback_queue::CallbackQueue;
use asset_gateway_backends::token_store::TokenStore;
use ipnet::IpNet;
use serde_json::Value;

use crate::buckets::Buckets;
use crate::callbacks::{CircuitBreaker, Deliverer, HeadEventThrottle, TargetPolicy};
use crate::config::{ControlToken, CorsConfig, UnknownFields};
use crate::http::health::ReadinessCache;
use crate::http::rate_limit::ClientLimiter;
use crate::shutdown::Shutdown;
use crate::tokens::Redeemer;

/// The parts that a router is built on.
pub struct Parts {
    pub redeemer: Redeemer,
    pub circuit_breaker: Arc<CircuitBreaker>,
    /// Delivers the callbacks that uploads wait for.
    pub deliverer: Arc<Deliverer>,
    /// Where callbacks may go.
    pub target_policy: Arc<TargetPolicy>,
    pub buckets: Buckets,
    pub control_tokens: Vec<ControlToken>,
    pub unknown_fields: UnknownFields,
    /// Base of the URLs that are handed out, without a slash at its end.
    pub public_base: String,
    pub trusted_proxies: Arc<[IpNet]>,
    pub cors: CorsConfig,
    pub client_limiter: ClientLimiter,
    pub shutdown: Shutdown,
}

/// Shared by all requests; cheap to clone.
#[derive(Clone)]
pub struct AppState(Arc<Inner>);

struct Inner {
    parts: Parts,
    readiness: ReadinessCache,
    head_event_throttle: HeadEventThrottle,
    openapi: Value,
}

impl AppState {
    pub fn new(parts: Parts) -> Self {
        Self(Arc::new(Inner {
            parts,
            readiness: ReadinessCache::default(),
            head_event_throttle: HeadEventThrottle::default(),
            openapi: crate::http::openapi::document(),
        }))
    }

    pub fn redeemer(&self) -> &Redeemer {
        &self.0.parts.redeemer
    }

    pub fn store(&self) -> &Arc<dyn TokenStore> {
        self.redeemer().store()
    }

    pub fn callbacks(&self) -> &Arc<dyn CallbackQueue> {
        self.circuit_breaker().queue()
    }

    pub fn circuit_breaker(&self) -> &CircuitBreaker {
        &self.0.parts.circuit_breaker
    }

    pub fn deliverer(&self) -> &Arc<Deliverer> {
        &self.0.parts.deliverer
    }

    pub fn target_policy(&self) -> &TargetPolicy {
        &self.0.parts.target_policy
    }

    pub fn buckets(&self) -> &Buckets {
        &self.0.parts.buckets
    }

    pub fn control_tokens(&self) -> &[ControlToken] {
        &self.0.parts.control_tokens
    }

    pub fn unknown_fields(&self) -> UnknownFields {
        self.0.parts.unknown_fields
    }

    pub fn public_base(&self) -> &str {
        &self.0.parts.public_base
    }

    pub fn trusted_proxies(&self) -> &Arc<[IpNet]> {
        &self.0.parts.trusted_proxies
    }

    pub fn cors(&self) -> &CorsConfig {
        &self.0.parts.cors
    }

    pub fn client_limiter(&self) -> &ClientLimiter {
        &self.0.parts.client_limiter
    }

    pub fn shutdown(&self) -> &Shutdown {
        &self.0.parts.shutdown
    }

    pub fn readiness(&self) -> &ReadinessCache {
        &self.0.readiness
    }

    pub fn head_event_throttle(&self) -> &HeadEventThrottle {
        &self.0.head_event_throttle
    }

    pub fn openapi(&self) -> &Value {
        &self.0.openapi
    }
}
