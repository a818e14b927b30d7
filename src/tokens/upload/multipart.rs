//! Multipart uploads: recorded when storage begins them, aborted where their writer is gone.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use asset_gateway_backends::clock::Clock;
use asset_gateway_backends::error::Result;
use asset_gateway_backends::object_backend::Recorder;
use asset_gateway_backends::token_store::{
    AbandonedUpload, LeaseId, LeaseState, MultipartUpload, TokenStore,
};
use asset_gateway_backends::{BackendError, ErrorKind};
use async_trait::async_trait;

use crate::buckets::Buckets;
use crate::tokens::Ticket;

/// Storage that refuses to abort for this long is left to its lifecycle rule.
const GIVE_UP_AFTER: Duration = Duration::from_secs(24 * 3600);

/// Records what storage calls a multipart upload, with the upload's lease.
pub struct UploadRecorder {
    store: Arc<dyn TokenStore>,
    clock: Arc<dyn Clock>,
    lease: LeaseId,
    /// Alias of the bucket.
    bucket: String,
    key: String,
}

impl UploadRecorder {
    /// The recorder for a ticket's upload; `None` where its hit is not leased.
    pub(super) fn of(ticket: &Ticket) -> Option<Arc<dyn Recorder>> {
        let lease = ticket.reservation.as_ref()?.lease()?;
        Some(Arc::new(Self {
            store: Arc::clone(&ticket.store),
            clock: Arc::clone(&ticket.clock),
            lease,
            bucket: ticket.record.bucket.clone(),
            key: ticket.record.key.clone(),
        }))
    }
}

impl fmt::Debug for UploadRecorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("UploadRecorder");
        shown.field("lease", &self.lease).finish_non_exhaustive()
    }
}

#[async_trait]
impl Recorder for UploadRecorder {
    async fn record(&self, reference: &str) -> Result<()> {
        let upload = MultipartUpload {
            bucket: self.bucket.clone(),
            key: self.key.clone(),
            reference: reference.to_owned(),
            began_at_ms: self.clock.now_ms(),
        };
        match self.store.record_upload(self.lease, upload).await? {
            LeaseState::Held => Ok(()),
            LeaseState::Lost => Err(BackendError::with_source(
                ErrorKind::Unavailable,
                "record_upload",
                "the lease is lost",
            )),
        }
    }
}

/// Aborts the upload in storage, then forgets it.
///
/// # Errors
/// Storage or the token store does not answer now; the upload is handed out again.
pub async fn abort(
    store: &dyn TokenStore,
    buckets: &Buckets,
    now_ms: u64,
    abandoned: &AbandonedUpload,
) -> Result<()> {
    let upload = &abandoned.upload;
    let age = Duration::from_millis(now_ms.saturating_sub(upload.began_at_ms));
    let Some(bucket) = buckets.get(&upload.bucket) else {
        if age < GIVE_UP_AFTER {
            let why = format!("the bucket `{}` is not configured", upload.bucket);
            let operation = "abort_upload";
            return Err(BackendError::with_source(
                ErrorKind::NotFound,
                operation,
                why,
            ));
        }
        tracing::error!(
            alias = upload.bucket,
            "the parts of an abandoned upload stay in storage: its bucket is not configured any more"
        );
        return store.forget_upload(abandoned).await;
    };
    if let Err(error) = bucket.abort_upload(&upload.key, &upload.reference).await {
        if age < GIVE_UP_AFTER {
            return Err(error);
        }
        tracing::error!(
            exception.message = %error,
            alias = upload.bucket,
            "the parts of an abandoned upload stay in storage, for its lifecycle rule to remove"
        );
    }
    store.forget_upload(abandoned).await
}
