//! Settings to `Arc<dyn …>`: the only place that picks by feature.

use std::sync::Arc;

use crate::callback_queue::CallbackQueue;
use crate::clock::Clock;
use crate::object_backend::ObjectBackend;
use crate::settings::{Adapter, BucketSettings, Provider, QueueLimits, TokenStoreSettings};
use crate::token_store::TokenStore;

#[cfg(not(any(feature = "sled", feature = "redis")))]
compile_error!("no token store is compiled in: add the feature `sled` or `redis`");
#[cfg(not(any(feature = "opendal", feature = "aws")))]
compile_error!("no object backend is compiled in: add the feature `opendal` or `aws`");

/// Why something could not be opened; the text says what to change.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("{what} needs the feature `{feature}`, which this build does not have")]
    NotCompiledIn {
        what: &'static str,
        feature: &'static str,
    },
    #[error("{0}")]
    Failed(String),
}

/// A token store and the callback queue that lives in it.
pub struct Stores {
    pub tokens: Arc<dyn TokenStore>,
    pub callbacks: Arc<dyn CallbackQueue>,
}
