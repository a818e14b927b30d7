//! Recovery of an upload that was left `finalising`: its node died, or storage gave no answer.
//!
//! The object itself tells what happened. Before a hit is released, the upload is fenced off, so that a
//! node that was only stopped cannot make the object visible afterwards.

use std::time::Duration;

use asset_gateway_backends::clock::Clock;
use asset_gateway_backends::error::Result;
use asset_gateway_backends::event::Report;
use asset_gateway_backends::object_backend::{GetOptions, ObjectBackend, ObjectMeta};
use asset_gateway_backends::token_store::{
    Intent, LeaseState, MultipartUpload, TokenStore, UnsettledUpload,
};
use asset_gateway_backends::{BackendError, ErrorKind};
use futures_util::{StreamExt, TryStreamExt};
use tokio::time::timeout;

use crate::buckets::Buckets;
use crate::telemetry::record::hits;
use crate::tokens::lease::lease_duration;

/// Recoveries that run at once in one bucket.
const MAX_CONCURRENT_RECOVERIES: usize = 16;

/// Tolerated difference between the clocks of gateway and storage, where no marker tells uploads apart.
const CLOCK_SKEW_MS: u64 = 2_000;

/// Limit of each question to storage. The leases of one sweep begin together, and storage that hangs must
/// not let the others lapse.
const STORAGE_TIMEOUT: Duration = Duration::from_secs(10);

/// After this time a hit is released though storage does not fence its upload off.
const FENCE_TIMEOUT: Duration = Duration::from_secs(600);

/// What the recovery of an upload came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recovery {
    /// Committed or released.
    Done,
    /// A later sweep looks again.
    NotYet,
}

/// Recovers the uploads of one bucket. Where storage hangs, the rest is left for a later sweep.
pub async fn recover_all(
    store: &dyn TokenStore,
    buckets: &Buckets,
    clock: &dyn Clock,
    uploads: Vec<UnsettledUpload>,
) {
    let each = futures_util::stream::iter(uploads).map(Ok);
    let recovered = each.try_for_each_concurrent(MAX_CONCURRENT_RECOVERIES, async |upload| {
        let token_id = upload.reservation.token_id();
        match recover(store, buckets, clock.now_ms(), upload).await {
            Ok(Recovery::Done) => {
                tracing::info!(%token_id, "recovered an upload that was left finalising");
            }
            Ok(Recovery::NotYet) => {
                tracing::debug!(%token_id, "an upload that was left finalising may still become visible");
            }
            Err(error) => {
                tracing::warn!(
                    exception.message = %error, %token_id, "upload not recovered, will be tried again"
                );
                if error.kind == ErrorKind::Timeout {
                    return Err(());
                }
            }
        }
        Ok(())
    });
    // Each error is in the log.
    let _: std::result::Result<(), ()> = recovered.await;
}

/// Commits an upload whose object is visible; releases the hit where it is not and cannot become so.
///
/// # Errors
/// Storage or the token store does not answer now: the lease lapses, and a later sweep hands the upload
/// out again.
pub async fn recover(
    store: &dyn TokenStore,
    buckets: &Buckets,
    now_ms: u64,
    upload: UnsettledUpload,
) -> Result<Recovery> {
    let UnsettledUpload {
        record,
        reservation,
        intent,
        open_upload,
    } = upload;
    let Some(bucket) = buckets.get(&record.bucket) else {
        tracing::error!(
            alias = record.bucket,
            "an upload that was left finalising cannot be recovered: its bucket is not configured"
        );
        return Ok(Recovery::NotYet);
    };
    let marker = reservation.marker();
    let marker = marker.as_deref();
    let find =
        async || with_timeout(find_object(bucket.as_ref(), &record.key, marker, &intent)).await;
    let mut found = find().await?;
    if found.is_none() {
        let wait = time_to_appear(bucket.as_ref(), &intent, now_ms);
        if let (Some(wait), Some(lease)) = (wait, reservation.lease()) {
            store.renew(lease, wait).await?;
            return Ok(Recovery::NotYet);
        }
        let age = Duration::from_millis(now_ms.saturating_sub(intent.at_ms));
        match with_timeout(fence_off(bucket.as_ref(), marker, open_upload.as_ref())).await {
            Err(error) if age < FENCE_TIMEOUT => return Err(error),
            Err(error) => tracing::error!(
                exception.message = %error,
                alias = record.bucket,
                "an upload that was left finalising cannot be fenced off: its hit is released"
            ),
            Ok(()) => {}
        }
        // The object may have become visible before the fence, and cannot after it.
        found = find().await?;
    }
    match found {
        Some(meta) => {
            // Lost: another node has taken the lease over.
            let committed = store.commit(reservation, report(&meta)).await?;
            if committed == LeaseState::Lost {
                return Ok(Recovery::NotYet);
            }
            hits::committed();
        }
        None => {
            store.release(reservation, 0, None).await?;
            hits::released();
        }
    }
    Ok(Recovery::Done)
}

async fn with_timeout<T>(request: impl Future<Output = Result<T>>) -> Result<T> {
    let elapsed = |_| BackendError::new(ErrorKind::Timeout, "recover_upload");
    timeout(STORAGE_TIMEOUT, request).await.map_err(elapsed)?
}

/// Keeps a node that was only stopped from making the object visible when it continues.
async fn fence_off(
    bucket: &dyn ObjectBackend,
    marker: Option<&str>,
    open_upload: Option<&MultipartUpload>,
) -> Result<()> {
    if let Some(marker) = marker {
        bucket.fence_off(marker).await?;
    }
    if let Some(upload) = open_upload {
        bucket.abort_upload(&upload.key, &upload.reference).await?;
    }
    Ok(())
}

/// How long the object may still become visible, because remote storage may carry out the request of a
/// dead process. A hit that is released before that would leave a visible object uncounted.
fn time_to_appear(bucket: &dyn ObjectBackend, intent: &Intent, now_ms: u64) -> Option<Duration> {
    if bucket.capabilities().writes_end_with_process {
        return None;
    }
    let lease_ms = u64::try_from(lease_duration().as_millis()).unwrap_or(u64::MAX);
    let left = intent.at_ms.saturating_add(lease_ms).saturating_sub(now_ms);
    // The clocks of nodes differ: at most one lease.
    (left > 0).then(|| Duration::from_millis(left.min(lease_ms)))
}

/// The object, where it is the one that this upload was about to make visible: it has the upload's size,
/// an entity tag, and the upload's marker where storage keeps markers.
pub async fn find_object(
    bucket: &dyn ObjectBackend,
    key: &str,
    marker: Option<&str>,
    intent: &Intent,
) -> Result<Option<ObjectMeta>> {
    let meta = match bucket.head(key, &GetOptions::default()).await {
        Ok(meta) => meta,
        Err(error) if error.kind == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    // Storage tells size and entity tag of every object: an answer without them is not storage's.
    let is_complete = meta.etag.is_some() && meta.size == Some(intent.size);
    let is_ours = if bucket.capabilities().markers {
        meta.marker.as_deref() == marker
    } else {
        !is_older(&meta, intent)
    };
    Ok((is_complete && is_ours).then_some(meta))
}

fn is_older(meta: &ObjectMeta, intent: &Intent) -> bool {
    let modified = meta
        .last_modified
        .and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok())
        .and_then(|since| u64::try_from(since.as_millis()).ok());
    // Storage rounds down to seconds: an object of 12:00:01 may have been written up to 1 s later.
    modified.is_some_and(|ms| ms.saturating_add(1_000 + CLOCK_SKEW_MS) < intent.at_ms)
}

/// The report of a visible object.
pub fn report(meta: &ObjectMeta) -> Report {
    Report::complete(
        meta.size.unwrap_or_default(),
        meta.etag.clone().unwrap_or_default(),
        meta.content_type.clone().unwrap_or_default(),
    )
}
