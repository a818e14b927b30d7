//! What runs beside the requests: writing batched hits, sweeping, settling.

use std::sync::Arc;
use std::time::Duration;

use asset_gateway_backends::token_store::TokenStore;
use tokio::time::MissedTickBehavior;

use super::lease::LEASE;
use super::settle::settle;
use crate::buckets::Buckets;

/// `used_hits` of unlimited tokens may lag by 1 s.
const FLUSH_USAGE_EVERY: Duration = Duration::from_millis(500);
const SWEEP_EVERY: Duration = Duration::from_secs(5);

/// Writes the hits of unlimited tokens, for as long as it is polled.
pub async fn flush_usage(store: Arc<dyn TokenStore>) {
    let mut ticks = tokio::time::interval(FLUSH_USAGE_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if let Err(error) = store.flush_usage().await {
            tracing::error!(%error, "hits of unlimited tokens not written");
        }
    }
}

/// Sweeps and settles, first at once, for as long as it is polled.
pub async fn sweep(store: Arc<dyn TokenStore>, buckets: Buckets) {
    let mut ticks = tokio::time::interval(SWEEP_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let unsettled = match store.sweep(LEASE).await {
            Ok(unsettled) => unsettled,
            Err(error) => {
                tracing::error!(%error, "sweep failed");
                continue;
            }
        };
        for upload in unsettled {
            let token_id = upload.reservation.token_id();
            match settle(store.as_ref(), &buckets, upload).await {
                Ok(()) => tracing::info!(%token_id, "settled an upload that was left finalising"),
                Err(error) => {
                    tracing::warn!(%error, %token_id, "upload not settled, will be tried again");
                }
            }
        }
    }
}
