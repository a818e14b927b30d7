//! What `/readyz` reports: whether the token store and the buckets answer, cached for a few seconds.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use asset_gateway_backends::ErrorKind;
use asset_gateway_backends::token_store::TokenStore;
use serde::Serialize;
use tokio::sync::Mutex;

use crate::buckets::Buckets;

const CACHE_LIFETIME: Duration = Duration::from_secs(5);
const PING_TIMEOUT: Duration = Duration::from_secs(2);

/// What the process depends on.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct Readiness {
    /// `ok`, `unavailable` or `shutting_down`.
    pub status: &'static str,
    /// `ok` or `unavailable`.
    token_store: &'static str,
    /// By alias: `ok` or `degraded`. A degraded bucket takes no node out of service.
    buckets: BTreeMap<String, &'static str>,
}

/// The latest check of the dependencies. Concurrent callers share one check.
#[derive(Clone, Default)]
pub struct ReadinessCache(Arc<Mutex<Option<(Instant, Readiness)>>>);

impl ReadinessCache {
    pub async fn check(&self, store: &dyn TokenStore, buckets: &Buckets) -> Readiness {
        let mut cache = self.0.lock().await;
        if let Some((at, readiness)) = &*cache
            && at.elapsed() < CACHE_LIFETIME
        {
            return readiness.clone();
        }
        let readiness = check(store, buckets).await;
        *cache = Some((Instant::now(), readiness.clone()));
        readiness
    }
}

async fn check(store: &dyn TokenStore, buckets: &Buckets) -> Readiness {
    let store = tokio::time::timeout(PING_TIMEOUT, store.ping()).await;
    let pings = buckets.iter().map(|(alias, bucket)| async move {
        let reachable = match tokio::time::timeout(PING_TIMEOUT, bucket.ping()).await {
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
    let status = match store {
        Ok(Ok(())) => "ok",
        Ok(Err(_)) | Err(_) => "unavailable",
    };
    Readiness {
        status,
        token_store: status,
        buckets: futures_util::future::join_all(pings)
            .await
            .into_iter()
            .collect(),
    }
}
