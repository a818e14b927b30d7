//! What keeps an upload from becoming visible once its writer has no right to it any more.

use std::fmt;
use std::sync::Arc;

use crate::error::{BackendError, ErrorKind, Result};

/// Says when a writer has no right to its upload any more.
pub trait Fence: fmt::Debug + Send + Sync {
    /// The object must not become visible any more. Asked as the very last step before it does; cheap.
    fn is_past(&self) -> bool;
}

/// An error where the upload must not become visible any more.
pub fn check_fence(fence: Option<&Arc<dyn Fence>>) -> Result<()> {
    match fence.is_some_and(|fence| fence.is_past()) {
        true => Err(BackendError::with_source(
            ErrorKind::Unavailable,
            "put",
            "the lease of the upload is over",
        )),
        false => Ok(()),
    }
}
