//! What the request that makes an object visible came to.

use crate::error::{BackendError, ErrorKind, Result};
use crate::object_backend::conditions::bare_etag;
use crate::object_backend::{GetOptions, ObjectBackend, Stored};

/// An upload is acknowledged by an entity tag, and by nothing else.
pub fn stored(etag: Option<&str>, size: u64) -> Result<Stored> {
    let etag = etag.map(bare_etag).unwrap_or_default();
    match etag.is_empty() {
        false => Ok(Stored { etag, size }),
        true => Err(BackendError::with_source(
            ErrorKind::NoAnswer,
            "put",
            "storage gives the object no entity tag",
        )),
    }
}

/// The error of an upload that storage refused.
///
/// Of uploads that race for a key, storage may answer the slower ones with a conflict (S3:
/// `ConditionalRequestConflict`): a HEAD tells whether the key is taken by now.
pub async fn refused(
    backend: &impl ObjectBackend,
    key: &str,
    must_not_exist: bool,
    is_conflict: bool,
    error: BackendError,
) -> BackendError {
    let error = error.of_an_upload(must_not_exist);
    if !(must_not_exist && is_conflict) {
        return error;
    }
    match backend.head(key, &GetOptions::default()).await {
        Ok(_) => BackendError::new(ErrorKind::PreconditionFailed, "put"),
        // The HEAD's own error is no answer to the upload.
        Err(_) => error,
    }
}
