//! A download from storage that judges conditions itself: one request, where its answer can be
//! trusted to be RFC 9110's.

use async_trait::async_trait;

use super::conditions::forward::{for_storage, has_both_kinds, pinned};
use super::conditions::judge;
use super::{ByteRange, Conditions, GetOptions, GetResult, ObjectMeta};
use crate::error::{BackendError, ErrorKind, Result};

/// Storage with a request for each of these.
#[async_trait]
pub trait Storage: Sync {
    async fn stat(&self, operation: &'static str, key: &str) -> Result<ObjectMeta>;

    /// One GET. `sent` is what [`for_storage`] lets through.
    async fn ask(&self, key: &str, sent: Conditions, range: Option<ByteRange>)
    -> Result<GetResult>;
}

/// [`ObjectBackend::head`](super::ObjectBackend::head).
pub async fn head(storage: &impl Storage, key: &str, options: &GetOptions) -> Result<ObjectMeta> {
    let meta = storage.stat("head", key).await?;
    judge(&options.conditions, &meta).map_err(|kind| BackendError::new(kind, "head"))?;
    Ok(meta)
}

/// [`ObjectBackend::get`](super::ObjectBackend::get).
pub async fn get(storage: &impl Storage, key: &str, options: &GetOptions) -> Result<GetResult> {
    let no_bytes = match options.range {
        Some(ByteRange::Suffix { length }) => length == 0,
        Some(ByteRange::From { first, last }) => last.is_some_and(|last| last < first),
        None => false,
    };
    if no_bytes {
        // Cannot be said in a header, but the object and the conditions go first.
        let meta = head(storage, key, options).await?;
        return Err(outside(Some(meta.size)));
    }
    let (both_kinds, result) = match for_storage(&options.conditions) {
        None => (false, look_and_ask(storage, key, options).await),
        Some(sent) => {
            let both_kinds = has_both_kinds(&sent);
            (both_kinds, storage.ask(key, sent, options.range).await)
        }
    };
    match result {
        Ok(found) => Ok(found),
        Err(error) => Err(explain(storage, key, options, both_kinds, error).await),
    }
}

/// The range lies outside an object of `size`.
pub fn outside(size: Option<u64>) -> BackendError {
    BackendError::new(ErrorKind::RangeNotSatisfiable { size }, "get")
}

/// Looks, judges, and asks for the version that was looked at.
async fn look_and_ask(
    storage: &impl Storage,
    key: &str,
    options: &GetOptions,
) -> Result<GetResult> {
    let mut overwritten = false;
    loop {
        let meta = storage.stat("get", key).await?;
        judge(&options.conditions, &meta).map_err(|kind| BackendError::new(kind, "get"))?;
        let version = meta.etag.as_deref().map(pinned).unwrap_or_default();
        match storage.ask(key, version, options.range).await {
            // In between: once more, for what is there now.
            Err(error) if error.kind == ErrorKind::PreconditionFailed && !overwritten => {
                overwritten = true;
            }
            other => return other,
        }
    }
}

/// Storage refused: makes the answer as exact as the contract wants it, by a look where it has
/// to be.
async fn explain(
    storage: &impl Storage,
    key: &str,
    options: &GetOptions,
    both_kinds: bool,
    error: BackendError,
) -> BackendError {
    let look = async || storage.stat("get", key).await.ok();
    let kind = match error.kind {
        ErrorKind::RangeNotSatisfiable { size: None } => {
            look().await.map(|meta| ErrorKind::RangeNotSatisfiable {
                size: Some(meta.size),
            })
        }
        ErrorKind::NotModified | ErrorKind::PreconditionFailed if both_kinds => look()
            .await
            .and_then(|meta| judge(&options.conditions, &meta).err()),
        _ => None,
    };
    kind.map_or(error, |kind| BackendError::new(kind, "get"))
}
