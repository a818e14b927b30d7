use serde::{Deserialize, Serialize};

use super::TokenId;

/// An upload in parts that storage has begun.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MultipartUpload {
    /// Alias of the bucket.
    pub bucket: String,
    pub key: String,
    /// What storage calls the upload.
    pub reference: String,
    /// Unix milliseconds.
    pub began_at_ms: u64,
}

/// An upload in parts that nobody will finish, see
/// [`TokenStore::abandoned_uploads`](super::TokenStore::abandoned_uploads).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AbandonedUpload {
    pub(crate) token_id: TokenId,
    pub(crate) lease: u64,
    pub upload: MultipartUpload,
}

impl AbandonedUpload {
    pub fn token_id(&self) -> TokenId {
        self.token_id
    }
}
