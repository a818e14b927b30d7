//! What runs beside the requests: writing batched hits, sweeping, detached_tasks, aborting.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use asset_gateway_backends::ErrorKind;
use asset_gateway_backends::clock::Clock;
use asset_gateway_backends::token_store::{TokenStore, UnsettledUpload};
use futures_util::future::join_all;
use futures_util::{StreamExt, TryStreamExt};
use tokio::time::MissedTickBehavior;

use super::lease::{lease_duration, renewal_interval};
use super::upload::multipart;
use super::upload::recovery::{Settled, settle};
use crate::buckets::Buckets;

/// `used_hits` of unlimited tokens may lag by 1 s.
const FLUSH_USAGE_EVERY: Duration = Duration::from_millis(500);
const SWEEP_EVERY: Duration = Duration::from_secs(5);
/// In one bucket.
const SETTLED_AT_ONCE: usize = 16;

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
pub async fn sweep(store: Arc<dyn TokenStore>, buckets: Buckets, clock: Arc<dyn Clock>) {
    let mut ticks = tokio::time::interval(SWEEP_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let unsettled = match store.sweep(lease_duration()).await {
            Ok(unsettled) => unsettled,
            Err(error) => {
                tracing::error!(%error, "sweep failed");
                continue;
            }
        };
        let mut of_buckets = BTreeMap::<String, Vec<UnsettledUpload>>::new();
        for upload in unsettled {
            let bucket = upload.record.bucket.clone();
            of_buckets.entry(bucket).or_default().push(upload);
        }
        let of_buckets = of_buckets.into_values();
        join_all(of_buckets.map(|uploads| settle_all(&*store, &buckets, &*clock, uploads))).await;
    }
}

/// Those of one bucket. Where it hangs, the rest is left for a later sweep.
async fn settle_all(
    store: &dyn TokenStore,
    buckets: &Buckets,
    clock: &dyn Clock,
    uploads: Vec<UnsettledUpload>,
) {
    let each = futures_util::stream::iter(uploads).map(Ok);
    let settled = each.try_for_each_concurrent(SETTLED_AT_ONCE, async |upload| {
        let token_id = upload.reservation.token_id();
        match settle(store, buckets, clock.now_ms(), upload).await {
            Ok(Settled::Done) => {
                tracing::info!(%token_id, "settled an upload that was left finalising");
            }
            Ok(Settled::NotYet) => {
                tracing::debug!(%token_id, "an upload may still become visible");
            }
            Err(error) => {
                tracing::warn!(%error, %token_id, "upload not settled, will be tried again");
                if error.kind == ErrorKind::Timeout {
                    return Err(());
                }
            }
        }
        Ok(())
    });
    // It is in the log.
    let _: Result<(), ()> = settled.await;
}

/// Aborts uploads in parts that nobody will finish, first at once, for as long as it is polled.
pub async fn abort_uploads(store: Arc<dyn TokenStore>, buckets: Buckets, clock: Arc<dyn Clock>) {
    // Parts cost money, not correctness: they can wait.
    let mut ticks = tokio::time::interval(renewal_interval());
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let abandoned = match store.abandoned_uploads(lease_duration()).await {
            Ok(abandoned) => abandoned,
            Err(error) => {
                tracing::error!(%error, "uploads that were left in parts are not known");
                continue;
            }
        };
        for upload in abandoned {
            let token_id = upload.token_id();
            match multipart::abort(store.as_ref(), &buckets, clock.now_ms(), &upload).await {
                Ok(()) => tracing::info!(%token_id, "aborted an upload that was left in parts"),
                Err(error) => {
                    tracing::warn!(%error, %token_id, "upload not aborted, will be tried again");
                }
            }
        }
    }
}
