//! Errors of uploads that all adapters have in common.

use tokio::task::JoinError;

use crate::error::{BackendError, ErrorKind, Result};

/// The answer to every call that follows a failed write.
pub fn earlier_write_failed() -> BackendError {
    let text = "an earlier write of this upload failed";
    BackendError::with_source(ErrorKind::Upstream, "put", text)
}

/// A task of the adapter panicked or was aborted.
pub fn task_error(operation: &'static str, error: JoinError) -> BackendError {
    BackendError::with_source(ErrorKind::Upstream, operation, error)
}

/// Runs `work` to its end also where its caller is dropped: half a completion helps nobody.
pub async fn run_detached<T: Send + 'static>(
    operation: &'static str,
    work: impl Future<Output = Result<T>> + Send + 'static,
) -> Result<T> {
    let ended = tokio::spawn(work).await;
    ended.map_err(|error| task_error(operation, error))?
}

impl BackendError {
    /// The error of one part: whatever storage did with the part, no object is visible.
    pub(super) fn of_a_part(mut self) -> Self {
        if self.kind == ErrorKind::NoAnswer {
            self.kind = ErrorKind::Unavailable;
        }
        self
    }

    /// The error of an upload: storage's own failure, where storage answers a question that an
    /// upload does not ask (whether an object exists, was modified or has a range; a condition
    /// that was not set).
    pub(super) fn of_an_upload(self, must_not_exist: bool) -> Self {
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
