//! Multipart uploads in storage, recorded so that abandoned ones can be aborted.

use serde::{Deserialize, Serialize};

use super::TokenId;

/// A multipart upload that storage has begun.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MultipartUpload {
    /// Bucket alias.
    pub bucket: String,
    /// Object key.
    pub key: String,
    /// The upload's id in storage.
    pub reference: String,
    /// Unix milliseconds.
    pub began_at_ms: u64,
}

/// A multipart upload that will not be completed, see
/// [`TokenStore::abandoned_uploads`](super::TokenStore::abandoned_uploads).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AbandonedUpload {
    pub(crate) token_id: TokenId,
    pub(crate) lease: u64,
    /// The upload to abort.
    pub upload: MultipartUpload,
}

impl AbandonedUpload {
    /// The token.
    pub fn token_id(&self) -> TokenId {
        self.token_id
    }
}
