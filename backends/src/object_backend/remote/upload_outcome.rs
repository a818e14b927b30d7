//! Outcomes of upload requests: acknowledged, refused, or an error that an upload cannot have.

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

impl BackendError {
    /// The error of one part: whatever storage did with the part, no object is visible.
    pub(in crate::object_backend) fn of_a_part(mut self) -> Self {
        if self.kind == ErrorKind::NoAnswer {
            self.kind = ErrorKind::Unavailable;
        }
        self
    }

    /// The error of an upload. Storage is at fault where it answers a question that an upload does not
    /// ask: whether an object exists, was modified or has a range, or a condition that was not set.
    pub(in crate::object_backend) fn of_an_upload(self, must_not_exist: bool) -> Self {
        let is_asked = must_not_exist && self.kind == ErrorKind::PreconditionFailed;
        match self.kind.is_outcome() && !is_asked {
            true => Self::with_source(
                ErrorKind::Upstream,
                self.operation,
                format!("storage answers an upload with {:?}", self.kind),
            ),
            false => self,
        }
    }
}
