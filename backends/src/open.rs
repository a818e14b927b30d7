//! Settings to `Arc<dyn …>`: the only place that picks by feature.

use std::sync::Arc;

use crate::callback_queue::CallbackQueue;
use crate::clock::Clock;
use crate::embedded::EmbeddedStore;
use crate::embedded::kv::Kv;
use crate::embedded::kv::memory::MemoryKv;
use crate::embedded::offline::OfflineEmbedded;
use crate::object_backend::ObjectBackend;
use crate::settings::{Adapter, BucketSettings, Provider, QueueLimits, TokenStoreSettings};
use crate::token_store::TokenStore;
use crate::transfer::OfflineStore;

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

#[cfg(not(feature = "sled"))]
const NO_SLED: OpenError = OpenError::NotCompiledIn {
    what: "the token store `sled`",
    feature: "sled",
};
#[cfg(not(feature = "redis"))]
const NO_REDIS: OpenError = OpenError::NotCompiledIn {
    what: "the token store `redis`",
    feature: "redis",
};

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
        TokenStoreSettings::Sled(_) => Err(NO_SLED),
        #[cfg(feature = "redis")]
        TokenStoreSettings::Redis(redis) => {
            let store = crate::redis::RedisStore::open(redis, limits)
                .map_err(|e| OpenError::Failed(format!("token store: {e}")))?;
            Ok(Stores {
                tokens: Arc::new(store.clone()),
                callbacks: Arc::new(store),
            })
        }
        #[cfg(not(feature = "redis"))]
        TokenStoreSettings::Redis(_) => Err(NO_REDIS),
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

/// Opens the token store as a whole, for an export or, with `create`, an import. Must be called inside
/// a Tokio runtime.
#[cfg_attr(not(feature = "sled"), allow(unused_variables))]
pub fn open_offline(
    settings: &TokenStoreSettings,
    create: bool,
) -> Result<Arc<dyn OfflineStore>, OpenError> {
    match settings {
        TokenStoreSettings::Memory => {
            let kv = Arc::new(MemoryKv::default());
            Ok(Arc::new(OfflineEmbedded::new(kv, "memory")))
        }
        #[cfg(feature = "sled")]
        TokenStoreSettings::Sled(sled) => {
            if !create && !sled.path.join("db").exists() {
                let path = sled.path.display();
                return Err(OpenError::Failed(format!("there is no store at {path}")));
            }
            let kv = crate::embedded::kv::sled::SledKv::open_for_transfer(&sled.path)
                .map_err(|e| OpenError::Failed(format!("token store: {e}")))?;
            Ok(Arc::new(OfflineEmbedded::new(Arc::new(kv), "sled")))
        }
        #[cfg(feature = "redis")]
        TokenStoreSettings::Redis(redis) => {
            let store = crate::redis::offline::OfflineRedis::open(redis)
                .map_err(|e| OpenError::Failed(format!("token store: {e}")))?;
            Ok(Arc::new(store))
        }
        #[cfg(not(feature = "sled"))]
        TokenStoreSettings::Sled(_) => Err(NO_SLED),
        #[cfg(not(feature = "redis"))]
        TokenStoreSettings::Redis(_) => Err(NO_REDIS),
    }
}

/// Refuses a store into which an import was begun that has not ended. [`open_stores`] refuses an
/// embedded one; a Redis that does not answer now is refused when it does.
pub async fn refuse_half_imported(settings: &TokenStoreSettings) -> Result<(), OpenError> {
    match settings {
        #[cfg(feature = "redis")]
        TokenStoreSettings::Redis(redis) => crate::redis::offline::refuse_half_imported(redis)
            .await
            .map_err(|e| OpenError::Failed(format!("token store: {e}"))),
        #[cfg(not(feature = "redis"))]
        TokenStoreSettings::Redis(_) => Ok(()),
        TokenStoreSettings::Memory | TokenStoreSettings::Sled(_) => Ok(()),
    }
}

/// Opens a bucket. Asks no network: that storage is up shows in use.
///
/// Errors name what the settings lack, or the feature that this build lacks.
pub fn open_bucket(settings: &BucketSettings) -> Result<Arc<dyn ObjectBackend>, OpenError> {
    match settings.provider {
        Provider::Fs | Provider::Memory => open_local(settings),
        Provider::S3 | Provider::Ctyun => match settings.adapter {
            Some(Adapter::Aws) => open_aws(settings),
            Some(Adapter::Opendal) => open_opendal(settings),
            None if cfg!(feature = "aws") => open_aws(settings),
            None => open_opendal(settings),
        },
        Provider::Cos | Provider::Oss => match settings.adapter {
            Some(Adapter::Aws) => open_aws(settings),
            Some(Adapter::Opendal) => open_opendal(settings),
            None if cfg!(feature = "opendal") => open_opendal(settings),
            None => open_aws(settings),
        },
    }
}

#[cfg(feature = "opendal")]
fn open_local(settings: &BucketSettings) -> Result<Arc<dyn ObjectBackend>, OpenError> {
    use crate::object_backend::fs::FsBackend;
    use crate::object_backend::memory::MemoryBackend;

    if settings.provider == Provider::Memory {
        return Ok(Arc::new(MemoryBackend::default()));
    }
    let Some(root) = &settings.root else {
        let missing = "`root` is empty: name the folder that holds the objects";
        return Err(OpenError::Failed(missing.into()));
    };
    match FsBackend::open(root.clone()) {
        Ok(backend) => Ok(Arc::new(backend)),
        Err(error) => Err(OpenError::Failed(format!(
            "`root`: {} cannot be written to: {error}",
            root.display()
        ))),
    }
}

#[cfg(not(feature = "opendal"))]
fn open_local(_: &BucketSettings) -> Result<Arc<dyn ObjectBackend>, OpenError> {
    Err(OpenError::NotCompiledIn {
        what: "a bucket of the provider `fs` or `memory`",
        feature: "opendal",
    })
}

#[cfg(feature = "opendal")]
fn open_opendal(settings: &BucketSettings) -> Result<Arc<dyn ObjectBackend>, OpenError> {
    let backend = crate::object_backend::opendal::OpendalBackend::open(settings);
    Ok(Arc::new(backend.map_err(OpenError::Failed)?))
}

#[cfg(not(feature = "opendal"))]
fn open_opendal(_: &BucketSettings) -> Result<Arc<dyn ObjectBackend>, OpenError> {
    Err(OpenError::NotCompiledIn {
        what: "a bucket with `backend: opendal`",
        feature: "opendal",
    })
}

#[cfg(feature = "aws")]
fn open_aws(settings: &BucketSettings) -> Result<Arc<dyn ObjectBackend>, OpenError> {
    let backend = crate::object_backend::aws::AwsBackend::open(settings);
    Ok(Arc::new(backend.map_err(OpenError::Failed)?))
}

#[cfg(not(feature = "aws"))]
fn open_aws(_: &BucketSettings) -> Result<Arc<dyn ObjectBackend>, OpenError> {
    Err(OpenError::NotCompiledIn {
        what: "a bucket with `backend: aws`",
        feature: "aws",
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::a_bucket;

    fn settings(provider: Provider, adapter: Option<Adapter>) -> BucketSettings {
        BucketSettings {
            adapter,
            bucket: String::new(),
            ..a_bucket(provider, "", "")
        }
    }

    fn refusal(provider: Provider, adapter: Option<Adapter>) -> String {
        match open_bucket(&settings(provider, adapter)) {
            Ok(_) => panic!("{provider:?} was opened"),
            Err(error) => error.to_string(),
        }
    }

    #[cfg(not(feature = "aws"))]
    #[test]
    fn what_is_not_compiled_in_is_named() {
        let refusal = refusal(Provider::S3, Some(Adapter::Aws));
        assert!(refusal.contains("`aws`"), "{refusal}");
    }

    #[cfg(feature = "opendal")]
    #[test]
    fn what_settings_lack_is_named() {
        let opendal = Some(Adapter::Opendal);
        assert!(refusal(Provider::Fs, None).contains("`root`"));
        assert!(refusal(Provider::S3, opendal).contains("`bucket`"));
        assert!(open_bucket(&settings(Provider::Memory, None)).is_ok());
    }
}
