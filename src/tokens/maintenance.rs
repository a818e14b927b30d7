//! Background tasks: batched hits are written, leases swept, uploads recovered or aborted.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use asset_gateway_backends::clock::Clock;
use asset_gateway_backends::token_store::{TokenStore, UnsettledUpload};
use futures_util::future::join_all;
use tokio::time::MissedTickBehavior;

use super::lease::{lease_duration, renewal_interval};
use super::upload::abandoned;
use super::upload::recovery::recover_all;
use crate::buckets::Buckets;

/// Bounds how far `used_hits` of unlimited tokens lags behind.
const FLUSH_INTERVAL: Duration = Duration::from_millis(500);
const SWEEP_INTERVAL: Duration = Duration::from_secs(5);

/// Writes the hits of unlimited tokens, for as long as the future is polled.
pub async fn flush_usage(store: Arc<dyn TokenStore>) {
    let mut ticks = tokio::time::interval(FLUSH_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if let Err(error) = store.flush_usage().await {
            tracing::error!(exception.message = %error, "hits of unlimited tokens not written");
        }
    }
}

/// Sweeps leases and recovers uploads, first at once, for as long as the future is polled.
pub async fn sweep(store: Arc<dyn TokenStore>, buckets: Buckets, clock: Arc<dyn Clock>) {
    let mut ticks = tokio::time::interval(SWEEP_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let uploads = match store.sweep(lease_duration()).await {
            Ok(uploads) => uploads,
            Err(error) => {
                tracing::error!(exception.message = %error, "sweep failed");
                continue;
            }
        };
        let mut by_bucket = BTreeMap::<String, Vec<UnsettledUpload>>::new();
        for upload in uploads {
            let bucket = upload.record.bucket.clone();
            by_bucket.entry(bucket).or_default().push(upload);
        }
        let each = by_bucket.into_values();
        join_all(each.map(|uploads| recover_all(&*store, &buckets, &*clock, uploads))).await;
    }
}

/// Aborts abandoned multipart uploads, first at once, for as long as the future is polled. Their parts cost
/// money, not correctness: they can wait.
pub async fn abort_uploads(store: Arc<dyn TokenStore>, buckets: Buckets, clock: Arc<dyn Clock>) {
    let mut ticks = tokio::time::interval(renewal_interval());
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let uploads = match store.abandoned_uploads(lease_duration()).await {
            Ok(uploads) => uploads,
            Err(error) => {
                tracing::error!(exception.message = %error, "abandoned uploads not listed");
                continue;
            }
        };
        for upload in uploads {
            let token_id = upload.token_id();
            match abandoned::abort(store.as_ref(), &buckets, clock.now_ms(), &upload).await {
                Ok(()) => tracing::info!(%token_id, "aborted an abandoned multipart upload"),
                Err(error) => {
                    tracing::warn!(
                        exception.message = %error, %token_id,
                        "abandoned upload not aborted, will be tried again"
                    );
                }
            }
        }
    }
}
