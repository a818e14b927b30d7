//! Opens stores and buckets from their settings: the only place that selects by feature.

use std::sync::Arc;

use crate::callback_queue::CallbackQueue;
use crate::clock::Clock;
use crate::embedded::EmbeddedStore;
use crate::embedded::kv::Kv;
use crate::embedded::kv::memory::MemoryKv;
#[cfg(feature = "sled")]
use crate::embedded::kv::sled::SledKv;
use crate::embedded::offline::OfflineEmbedded;
use crate::error::BackendError;
use crate::object_backend::ObjectBackend;
#[cfg(feature = "aws")]
use crate::object_backend::aws::AwsBackend;
#[cfg(any(feature = "opendal", feature = "aws"))]
use crate::object_backend::clouds::SettingsError;
use crate::object_backend::fs::FsBackend;
use crate::object_backend::memory::MemoryBackend;
#[cfg(feature = "opendal")]
use crate::object_backend::opendal::OpendalBackend;
#[cfg(feature = "redis")]
use crate::redis::{self, RedisStore};
use crate::settings::{Adapter, BucketSettings, Provider, QueueLimits, TokenStoreSettings};
use crate::token_store::TokenStore;
use crate::transfer::OfflineStore;

#[cfg(not(any(feature = "sled", feature = "redis")))]
compile_error!("no token store is compiled in: add the feature `sled` or `redis`");
#[cfg(not(any(feature = "opendal", feature = "aws")))]
compile_error!("no object backend is compiled in: add the feature `opendal` or `aws`");

/// Why a store or bucket cannot be opened; the text says what to change.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The adapter is not compiled in.
    #[error("{what} needs the feature `{feature}`, which this build does not have")]
    NotCompiledIn {
        /// The store or bucket.
        what: &'static str,
        /// The missing feature.
        feature: &'static str,
    },
    /// A setting of a bucket is wrong.
    #[error("`{key}`: {text}")]
    Setting {
        /// The key below the bucket.
        key: &'static str,
        /// What is wrong, and what is expected.
        text: String,
    },
    /// The settings are wrong, or opening failed.
    #[error("{0}")]
    Failed(String),
}

#[cfg(any(feature = "opendal", feature = "aws"))]
impl From<SettingsError> for OpenError {
    fn from(refusal: SettingsError) -> Self {
        let text = refusal.text;
        match refusal.key {
            Some(key) => Self::Setting { key, text },
            None => Self::Failed(text),
        }
    }
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

#[cfg(not(feature = "aws"))]
const NO_AWS: OpenError = OpenError::NotCompiledIn {
    what: "a bucket with `backend: aws`",
    feature: "aws",
};
#[cfg(not(feature = "opendal"))]
const NO_OPENDAL: OpenError = OpenError::NotCompiledIn {
    what: "a bucket with `backend: opendal`",
    feature: "opendal",
};

/// A token store and the callback queue in it.
pub struct Stores {
    /// The token store.
    pub tokens: Arc<dyn TokenStore>,
    /// The callback queue.
    pub callbacks: Arc<dyn CallbackQueue>,
}

impl Stores {
    fn of<S: TokenStore + CallbackQueue + Clone + 'static>(store: S) -> Self {
        Self {
            tokens: Arc::new(store.clone()),
            callbacks: Arc::new(store),
        }
    }
}

fn token_store_error(error: BackendError) -> OpenError {
    OpenError::Failed(format!("token store: {error}"))
}

/// Refuses settings that [`open_stores`] refuses. Uses no network and changes nothing on the disk;
/// needs a rustls provider for Redis with TLS.
pub fn check_stores(settings: &TokenStoreSettings) -> Result<(), OpenError> {
    match settings {
        TokenStoreSettings::Memory => Ok(()),
        #[cfg(feature = "sled")]
        TokenStoreSettings::Sled(sled) => check_folder(&sled.path)
            .map_err(|error| OpenError::Failed(format!("`sled.path`: {error}"))),
        #[cfg(not(feature = "sled"))]
        TokenStoreSettings::Sled(_) => Err(NO_SLED),
        #[cfg(feature = "redis")]
        TokenStoreSettings::Redis(redis) => {
            RedisStore::check_settings(redis).map_err(token_store_error)
        }
        #[cfg(not(feature = "redis"))]
        TokenStoreSettings::Redis(_) => Err(NO_REDIS),
    }
}

/// Refuses a `path` on which a file stands in the way of a folder.
fn check_folder(path: &std::path::Path) -> Result<(), String> {
    let path = std::path::absolute(path).map_err(|error| error.to_string())?;
    let existing = path.ancestors().find(|path| path.exists());
    match existing {
        Some(existing) if !existing.is_dir() => {
            Err(format!("{} is not a folder", existing.display()))
        }
        Some(_) | None => Ok(()),
    }
}

/// Opens the token store. Must be called inside a Tokio runtime.
pub fn open_stores(
    settings: &TokenStoreSettings,
    limits: QueueLimits,
    clock: Arc<dyn Clock>,
) -> Result<Stores, OpenError> {
    check_stores(settings)?;
    match settings {
        TokenStoreSettings::Memory => embedded(MemoryKv::default(), limits, clock),
        #[cfg(feature = "sled")]
        TokenStoreSettings::Sled(sled) => {
            let kv = SledKv::open(&sled.path).map_err(token_store_error)?;
            embedded(kv, limits, clock)
        }
        #[cfg(not(feature = "sled"))]
        TokenStoreSettings::Sled(_) => Err(NO_SLED),
        #[cfg(feature = "redis")]
        TokenStoreSettings::Redis(redis) => {
            let store = RedisStore::open(redis, limits).map_err(token_store_error)?;
            Ok(Stores::of(store))
        }
        #[cfg(not(feature = "redis"))]
        TokenStoreSettings::Redis(_) => Err(NO_REDIS),
    }
}

fn embedded<K: Kv>(kv: K, limits: QueueLimits, clock: Arc<dyn Clock>) -> Result<Stores, OpenError> {
    let store = EmbeddedStore::new(kv, clock, limits).map_err(token_store_error)?;
    Ok(Stores::of(store))
}

/// Opens a token store for an export or, with `create`, for an import. Must be called inside a Tokio
/// runtime.
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
            let kv = SledKv::open_for_transfer(&sled.path).map_err(token_store_error)?;
            Ok(Arc::new(OfflineEmbedded::new(Arc::new(kv), "sled")))
        }
        #[cfg(feature = "redis")]
        TokenStoreSettings::Redis(redis) => {
            let store = redis::offline::OfflineRedis::open(redis).map_err(token_store_error)?;
            Ok(Arc::new(store))
        }
        #[cfg(not(feature = "sled"))]
        TokenStoreSettings::Sled(_) => Err(NO_SLED),
        #[cfg(not(feature = "redis"))]
        TokenStoreSettings::Redis(_) => Err(NO_REDIS),
    }
}

/// Refuses a Redis store that holds an unfinished import. [`open_stores`] refuses an embedded one. A
/// Redis that does not answer yet is refused when it does.
pub async fn refuse_unfinished_import(settings: &TokenStoreSettings) -> Result<(), OpenError> {
    match settings {
        #[cfg(feature = "redis")]
        TokenStoreSettings::Redis(redis) => redis::offline::refuse_unfinished_import(redis)
            .await
            .map_err(token_store_error),
        #[cfg(not(feature = "redis"))]
        TokenStoreSettings::Redis(_) => Ok(()),
        TokenStoreSettings::Memory | TokenStoreSettings::Sled(_) => Ok(()),
    }
}

/// Where a bucket's objects are.
enum Location {
    Local,
    Remote(Adapter),
}

fn location(settings: &BucketSettings) -> Location {
    let preferred = match settings.provider {
        Provider::Fs | Provider::Memory => return Location::Local,
        Provider::S3 | Provider::Ctyun if cfg!(feature = "aws") => Adapter::Aws,
        Provider::Cos | Provider::Oss if !cfg!(feature = "opendal") => Adapter::Aws,
        Provider::S3 | Provider::Ctyun | Provider::Cos | Provider::Oss => Adapter::Opendal,
    };
    Location::Remote(settings.adapter.unwrap_or(preferred))
}

/// Refuses settings, and files that they name, that [`open_bucket`] refuses. Uses no network and
/// changes nothing on the disk.
pub fn check_bucket(settings: &BucketSettings) -> Result<(), OpenError> {
    match location(settings) {
        Location::Local => check_local(settings),
        #[cfg(feature = "aws")]
        Location::Remote(Adapter::Aws) => Ok(AwsBackend::check_settings(settings)?),
        #[cfg(not(feature = "aws"))]
        Location::Remote(Adapter::Aws) => Err(NO_AWS),
        #[cfg(feature = "opendal")]
        Location::Remote(Adapter::Opendal) => Ok(OpendalBackend::check_settings(settings)?),
        #[cfg(not(feature = "opendal"))]
        Location::Remote(Adapter::Opendal) => Err(NO_OPENDAL),
    }
}

/// Opens a bucket that passes [`check_bucket`]. Uses no network; the first request shows whether storage
/// is up.
pub fn open_bucket(settings: &BucketSettings) -> Result<Arc<dyn ObjectBackend>, OpenError> {
    check_bucket(settings)?;
    match location(settings) {
        Location::Local => open_local(settings),
        #[cfg(feature = "aws")]
        Location::Remote(Adapter::Aws) => Ok(Arc::new(AwsBackend::open(settings)?)),
        #[cfg(not(feature = "aws"))]
        Location::Remote(Adapter::Aws) => Err(NO_AWS),
        #[cfg(feature = "opendal")]
        Location::Remote(Adapter::Opendal) => Ok(Arc::new(OpendalBackend::open(settings)?)),
        #[cfg(not(feature = "opendal"))]
        Location::Remote(Adapter::Opendal) => Err(NO_OPENDAL),
    }
}

fn check_local(settings: &BucketSettings) -> Result<(), OpenError> {
    match (settings.provider, &settings.root) {
        (Provider::Memory, _) => Ok(()),
        (_, Some(root)) if !root.as_os_str().is_empty() => {
            check_folder(root).map_err(|error| OpenError::Failed(format!("`root`: {error}")))
        }
        (_, Some(_) | None) => {
            let missing = "`root` is empty: name the folder that holds the objects";
            Err(OpenError::Failed(missing.into()))
        }
    }
}

fn open_local(settings: &BucketSettings) -> Result<Arc<dyn ObjectBackend>, OpenError> {
    if settings.provider == Provider::Memory {
        return Ok(Arc::new(MemoryBackend::default()));
    }
    let root = settings.root.clone().unwrap_or_default();
    match FsBackend::open(root.clone()) {
        Ok(backend) => Ok(Arc::new(backend)),
        Err(error) => Err(OpenError::Failed(format!(
            "`root`: {} cannot be written to: {error}",
            root.display()
        ))),
    }
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
    fn an_error_names_the_missing_feature() {
        let refusal = refusal(Provider::S3, Some(Adapter::Aws));
        assert!(refusal.contains("`aws`"), "{refusal}");
    }

    #[cfg(feature = "opendal")]
    #[test]
    fn an_error_names_the_missing_setting() {
        let opendal = Some(Adapter::Opendal);
        assert!(refusal(Provider::Fs, None).contains("`root`"));
        assert!(refusal(Provider::S3, opendal).contains("`bucket`"));
        assert!(open_bucket(&settings(Provider::Memory, None)).is_ok());
    }
}
