//! Abandoned multipart uploads, whose writer is gone: aborted in storage, then forgotten.

use std::time::Duration;

use asset_gateway_backends::error::Result;
use asset_gateway_backends::token_store::{AbandonedUpload, TokenStore};
use asset_gateway_backends::{BackendError, ErrorKind};

use crate::buckets::Buckets;

/// Storage that refuses to abort for this long is left to its lifecycle rule.
const GIVE_UP_AFTER: Duration = Duration::from_secs(24 * 3600);

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
    let aborted = match buckets.get(&upload.bucket) {
        Some(bucket) => bucket.abort_upload(&upload.key, &upload.reference).await,
        None => {
            let why = format!("the bucket `{}` is not configured", upload.bucket);
            Err(BackendError::with_source(
                ErrorKind::NotFound,
                "abort_upload",
                why,
            ))
        }
    };
    if let Err(error) = aborted {
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
