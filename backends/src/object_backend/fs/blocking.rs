//! Runs calls that may wait for a disk away from the runtime's threads.

use crate::error::{BackendError, ErrorKind, Result};

/// `work` runs to its end also where the returned future is dropped.
pub async fn run_blocking<T: Send + 'static>(
    operation: &'static str,
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    let ended = tokio::task::spawn_blocking(work).await;
    ended.map_err(|error| BackendError::with_source(ErrorKind::Upstream, operation, error))?
}
