//! Opens stores and buckets from their settings: the only place that selects by feature.

use std::sync::Arc;

use crate::callback_queue::CallbackQueue;
use crate::clock::Clock;
use crate::embedded::EmbeddedStore;
use crate::embedded::kv::Kv;
use crate::embedded::kv::memory::MemoryKv;
use crate::embedded::offline::OfflineEmbedded;
use crate::object_backend::ObjectBackend;
use crate::object_backend::fs::FsBackend;
use crate::object_backend::memory::MemoryBackend;
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
impl From<crate::object_backend::clouds::SettingsError> for OpenError {
    fn from(refusal: crate::object_backend::clouds::SettingsError) -> Self {
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

/// A token store and the callback queue in it.
pub struct Stores {
    /// The token store.
    pub tokens: Arc<dyn TokenStore>,
    /// The callback queue.
    pub callbacks: Arc<dyn CallbackQueue>,
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
        TokenStoreSettings::Redis(redis) => crate::redis::RedisStore::check_settings(redis)
            .map_err(|error| OpenError::Failed(format!("token store: {error}"))),
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

/// Refuses a Redis store that holds an unfinished import. [`open_stores`] refuses an embedded one. A
/// Redis that does not answer yet is refused when it does.
pub async fn refuse_unfinished_import(settings: &TokenStoreSettings) -> Result<(), OpenError> {
    match settings {
        #[cfg(feature = "redis")]
        TokenStoreSettings::Redis(redis) => crate::redis::offline::refuse_unfinished_import(redis)
            .await
            .map_err(|e| OpenError::Failed(format!("token store: {e}"))),
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
        Location::Remote(Adapter::Aws) => check_aws(settings),
        Location::Remote(Adapter::Opendal) => check_opendal(settings),
    }
}

/// Opens a bucket that passes [`check_bucket`]. Uses no network; the first request shows whether storage
/// is up.
pub fn open_bucket(settings: &BucketSettings) -> Result<Arc<dyn ObjectBackend>, OpenError> {
    check_bucket(settings)?;
    match location(settings) {
        Location::Local => open_local(settings),
        Location::Remote(Adapter::Aws) => open_aws(settings),
        Location::Remote(Adapter::Opendal) => open_opendal(settings),
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

#[cfg(feature = "opendal")]
fn check_opendal(settings: &BucketSettings) -> Result<(), OpenError> {
    let checked = crate::object_backend::opendal::OpendalBackend::check_settings(settings);
    Ok(checked?)
}

#[cfg(not(feature = "opendal"))]
fn check_opendal(_: &BucketSettings) -> Result<(), OpenError> {
    Err(OpenError::NotCompiledIn {
        what: "a bucket with `backend: opendal`",
        feature: "opendal",
    })
}

#[cfg(feature = "aws")]
fn check_aws(settings: &BucketSettings) -> Result<(), OpenError> {
    let checked = crate::object_backend::aws::AwsBackend::check_settings(settings);
    Ok(checked?)
}

#[cfg(not(feature = "aws"))]
fn check_aws(_: &BucketSettings) -> Result<(), OpenError> {
    Err(OpenError::NotCompiledIn {
        what: "a bucket with `backend: aws`",
        feature: "aws",
    })
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

#[cfg(feature = "opendal")]
fn open_opendal(settings: &BucketSettings) -> Result<Arc<dyn ObjectBackend>, OpenError> {
    let backend = crate::object_backend::opendal::OpendalBackend::open(settings);
    Ok(Arc::new(backend?))
}

#[cfg(not(feature = "opendal"))]
fn open_opendal(settings: &BucketSettings) -> Result<Arc<dyn ObjectBackend>, OpenError> {
    Err(refused(check_opendal(settings)))
}

#[cfg(feature = "aws")]
fn open_aws(settings: &BucketSettings) -> Result<Arc<dyn ObjectBackend>, OpenError> {
    let backend = crate::object_backend::aws::AwsBackend::open(settings);
    Ok(Arc::new(backend?))
}

#[cfg(not(feature = "aws"))]
fn open_aws(settings: &BucketSettings) -> Result<Arc<dyn ObjectBackend>, OpenError> {
    Err(refused(check_aws(settings)))
}

/// The error of a check that always fails.
#[cfg(not(all(feature = "opendal", feature = "aws")))]
fn refused(checked: Result<(), OpenError>) -> OpenError {
    let nothing = || OpenError::Failed("not compiled in".into());
    checked.err().unwrap_or_else(nothing)
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
