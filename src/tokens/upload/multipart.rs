//! Uploads in parts: written down when storage begins them, aborted where their writer died.

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

/// Storage that refuses to abort for so long will not do it any more: its lifecycle rule has to.
const GIVEN_UP_AFTER: Duration = Duration::from_secs(24 * 3600);

/// Writes an upload down beside its lease.
pub struct UploadRecorder {
    pub store: Arc<dyn TokenStore>,
    pub clock: Arc<dyn Clock>,
    pub lease: LeaseId,
    /// Alias of the bucket.
    pub bucket: String,
    pub key: String,
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

/// Aborts the upload in storage and forgets it.
///
/// # Errors
/// Storage or the store cannot be asked now; the upload is handed out again.
pub async fn abort(
    store: &dyn TokenStore,
    buckets: &Buckets,
    now_ms: u64,
    abandoned: &AbandonedUpload,
) -> Result<()> {
    let upload = &abandoned.upload;
    let age = Duration::from_millis(now_ms.saturating_sub(upload.began_at_ms));
    let Some(bucket) = buckets.get(&upload.bucket) else {
        if age < GIVEN_UP_AFTER {
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
            "parts of an upload stay in storage: its bucket is not configured any more"
        );
        return store.forget_upload(abandoned).await;
    };
    if let Err(error) = bucket.abort_upload(&upload.key, &upload.reference).await {
        if age < GIVEN_UP_AFTER {
            return Err(error);
        }
        tracing::error!(
            %error,
            alias = upload.bucket,
            "parts of an upload stay in storage: its lifecycle rule has to remove them"
        );
    }
    store.forget_upload(abandoned).await
}
