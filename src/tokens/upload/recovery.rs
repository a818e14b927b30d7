//! Uploads whose node died, or lost touch with storage, while the object became visible: the
//! object itself tells.

use std::time::Duration;

use asset_gateway_backends::error::Result;
use asset_gateway_backends::event::{Outcome, Report};
use asset_gateway_backends::object_backend::{GetOptions, ObjectBackend, ObjectMeta};
use asset_gateway_backends::token_store::{
    Intent, LeaseState, MultipartUpload, TokenStore, UnsettledUpload,
};
use asset_gateway_backends::{BackendError, ErrorKind};
use tokio::time::timeout;

use crate::buckets::Buckets;
use crate::telemetry::record::hits;
use crate::tokens::lease::lease_duration;

/// Clocks of gateway and storage may differ by this much where no marker tells uploads apart.
const CLOCK_SKEW_MS: u64 = 2_000;

/// The leases of all that are settled in one sweep begin together: a storage that hangs must not
/// let those of the others lapse.
const LOOK: Duration = Duration::from_secs(10);

/// Storage that refuses for so long to fence an upload off must not hold its hit for ever.
const FENCED_OFF_FOR: Duration = Duration::from_secs(600);

/// What became of an upload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settled {
    Done,
    /// A later sweep looks again.
    NotYet,
}

/// Commits the upload where its object is there, releases its hit where it is not and will not be.
///
/// # Errors
/// Storage or the store cannot be asked now; the lease lapses again and a later sweep tries.
pub async fn settle(
    store: &dyn TokenStore,
    buckets: &Buckets,
    now_ms: u64,
    upload: UnsettledUpload,
) -> Result<Settled> {
    let UnsettledUpload {
        record,
        reservation,
        intent,
        open_upload,
    } = upload;
    let Some(bucket) = buckets.get(&record.bucket) else {
        tracing::error!(
            alias = record.bucket,
            "an unsettled upload's bucket is not configured"
        );
        return Ok(Settled::NotYet);
    };
    let marker = reservation.marker();
    let marker = marker.as_deref();
    let find = async || within(look(bucket.as_ref(), &record.key, marker, &intent)).await;
    let mut found = find().await?;
    if found.is_none() {
        let wait = time_left(bucket.as_ref(), &intent, now_ms);
        if let (Some(wait), Some(lease)) = (wait, reservation.lease()) {
            store.renew(lease, wait).await?;
            return Ok(Settled::NotYet);
        }
        let age = Duration::from_millis(now_ms.saturating_sub(intent.at_ms));
        match within(fence_off(bucket.as_ref(), marker, open_upload.as_ref())).await {
            Err(error) if age < FENCED_OFF_FOR => return Err(error),
            Err(error) => tracing::error!(
                %error,
                alias = record.bucket,
                "an upload that was left finalising cannot be fenced off: its hit is given back"
            ),
            Ok(()) => {}
        }
        // It may have become visible before that, and cannot after it.
        found = find().await?;
    }
    match found {
        Some(meta) => {
            // Else somebody else has it by now.
            if store.commit(reservation, uploaded(&meta)).await? == LeaseState::Lost {
                return Ok(Settled::NotYet);
            }
            hits::committed();
        }
        None => {
            store.release(reservation, 0, None).await?;
            hits::released();
        }
    }
    Ok(Settled::Done)
}

async fn within<T>(asking: impl Future<Output = Result<T>>) -> Result<T> {
    let silent = |_| BackendError::new(ErrorKind::Timeout, "settle");
    timeout(LOOK, asking).await.map_err(silent)?
}

/// Keeps a node that was only stopped from making the object visible when it goes on.
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

/// How long the object may still become visible: remote storage may yet do what a dead process has
/// asked for. A hit that was freed before would count nothing for an object that is there.
fn time_left(bucket: &dyn ObjectBackend, intent: &Intent, now_ms: u64) -> Option<Duration> {
    if bucket.capabilities().ends_with_the_process {
        return None;
    }
    let lease_ms = u64::try_from(lease_duration().as_millis()).unwrap_or(u64::MAX);
    let left = intent.at_ms.saturating_add(lease_ms).saturating_sub(now_ms);
    // Clocks of nodes differ; nobody waits longer than a lease.
    (left > 0).then(|| Duration::from_millis(left.min(lease_ms)))
}

/// The object, if it is the one that this upload was about to make visible: of its size, with an
/// entity tag, and with its marker where storage keeps one.
pub async fn look(
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
    // Storage tells all three of an object; what lacks one is not its word.
    let is_told = meta.etag.is_some() && meta.size == Some(intent.size);
    let ours = if bucket.capabilities().markers {
        meta.marker.as_deref() == marker
    } else {
        !is_older(&meta, intent)
    };
    Ok((is_told && ours).then_some(meta))
}

fn is_older(meta: &ObjectMeta, intent: &Intent) -> bool {
    let modified = meta
        .last_modified
        .and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok())
        .and_then(|since| u64::try_from(since.as_millis()).ok());
    // Storage tells whole seconds: what it calls 12:00:01 may have been written up to 1 s later.
    modified.is_some_and(|ms| ms.saturating_add(1_000 + CLOCK_SKEW_MS) < intent.at_ms)
}

/// What is reported of an upload that is visible.
pub fn uploaded(meta: &ObjectMeta) -> Report {
    Report {
        outcome: Outcome::Complete,
        status: 200,
        size: meta.size.unwrap_or_default(),
        etag: meta.etag.clone().unwrap_or_default(),
        content_type: meta.content_type.clone().unwrap_or_default(),
    }
}
