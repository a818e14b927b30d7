//! Tasks that go on after the caller of an upload is gone.

use tokio::task::JoinError;

use crate::error::{BackendError, ErrorKind, Result};

/// Runs `work` to its end also where its caller is dropped: half a completion helps nobody.
pub async fn run_detached<T: Send + 'static>(
    operation: &'static str,
    work: impl Future<Output = Result<T>> + Send + 'static,
) -> Result<T> {
    let ended = tokio::spawn(work).await;
    ended.map_err(|error| task_error(operation, error))?
}

/// A task of the adapter panicked or was aborted.
pub fn task_error(operation: &'static str, error: JoinError) -> BackendError {
    BackendError::with_source(ErrorKind::Upstream, operation, error)
}
