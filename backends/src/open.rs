//! Settings to `Arc<dyn …>`: the only place that picks by feature.

use std::sync::Arc;

use crate::callback_queue::CallbackQueue;
use crate::clock::Clock;
use crate::embedded::EmbeddedStore;
use crate::embedded::kv::Kv;
use crate::embedded::kv::memory::MemoryKv;
use crate::settings::{QueueLimits, TokenStoreSettings};
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

/// Opens the token store. Must be called inside a Tokio runtime.
pub fn open_stores(
    settings: &TokenStoreSettings,
    limits: QueueLimits,
    clock: Arc<dyn Clock>,
) -> Result<Stores, OpenError> {
    match settings {
        TokenStoreSettings::Memory => embedded(MemoryKv::default(), limits, clock),
        #[cfg(feature = "sled")]
        TokenStoreSettings::Sled(sled) => {
            let kv = crate::embedded::kv::sled::SledKv::open(&sled.path)
                .map_err(|e| OpenError::Failed(format!("token store: {e}")))?;
            embedded(kv, limits, clock)
        }
        #[cfg(not(feature = "sled"))]
        TokenStoreSettings::Sled(_) => Err(OpenError::NotCompiledIn {
            what: "the token store `sled`",
            feature: "sled",
        }),
        TokenStoreSettings::Redis => Err(OpenError::NotCompiledIn {
            what: "the token store `redis`",
            feature: "redis",
        }),
    }
}

fn embedded<K: Kv>(kv: K, limits: QueueLimits, clock: Arc<dyn Clock>) -> Result<Stores, OpenError> {
    let store = EmbeddedStore::new(kv, clock, limits)
        .map_err(|e| OpenError::Failed(format!("token store: {e}")))?;
    Ok(Stores {
        tokens: Arc::new(store.clone()),
        callbacks: Arc::new(store),
    })
}
