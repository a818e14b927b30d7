//! A download from storage that judges conditions itself: one request, where its answer can be
//! trusted to be RFC 9110's; once more where storage did not begin to answer.

use async_trait::async_trait;

use super::response::Answer;
use super::retry::until_begun;
use super::sent_conditions::{for_storage, has_both_kinds, pinned};
use crate::error::{BackendError, ErrorKind, Result};
use crate::object_backend::conditions::evaluate;
use crate::object_backend::{ByteRange, Conditions, GetOptions, GetResult, ObjectMeta};

/// Storage with a request for each of these.
#[async_trait]
pub trait Storage: Sync {
    /// One HEAD.
    async fn stat(&self, key: &str) -> Result<Answer>;

    /// One GET. `sent` is what [`for_storage`] lets through.
    async fn ask(&self, key: &str, sent: &Conditions, range: Option<ByteRange>) -> Result<Answer>;
}

/// [`ObjectBackend::head`](super::ObjectBackend::head).
pub async fn head(storage: &impl Storage, key: &str, options: &GetOptions) -> Result<ObjectMeta> {
    let meta = stat(storage, "head", key).await?;
    evaluate(&options.conditions, &meta).map_err(|kind| BackendError::new(kind, "head"))?;
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
        let outside = ErrorKind::RangeNotSatisfiable { size: meta.size };
        return Err(BackendError::new(outside, "get"));
    }
    let (both_kinds, result) = match for_storage(&options.conditions) {
        None => (false, look_and_ask(storage, key, options).await),
        Some(sent) => {
            let both_kinds = has_both_kinds(&sent);
            (both_kinds, ask(storage, key, &sent, options.range).await)
        }
    };
    match result {
        Ok(found) => Ok(found),
        Err(error) => Err(explain(storage, key, options, both_kinds, error).await),
    }
}

async fn stat(storage: &impl Storage, operation: &'static str, key: &str) -> Result<ObjectMeta> {
    let answer = until_begun(operation, || storage.stat(key)).await?;
    answer.into_meta()
}

async fn ask(
    storage: &impl Storage,
    key: &str,
    sent: &Conditions,
    range: Option<ByteRange>,
) -> Result<GetResult> {
    let answer = until_begun("get", || storage.ask(key, sent, range)).await?;
    answer.into_result(range)
}

/// Looks, judges, and asks for the version that was looked at.
async fn look_and_ask(
    storage: &impl Storage,
    key: &str,
    options: &GetOptions,
) -> Result<GetResult> {
    let mut overwritten = false;
    loop {
        let looked = stat(storage, "get", key).await?;
        evaluate(&options.conditions, &looked).map_err(|kind| BackendError::new(kind, "get"))?;
        let version = looked.etag.as_deref().map(pinned).unwrap_or_default();
        match ask(storage, key, &version, options.range).await {
            // In between: once more, for what is there now.
            Err(error) if error.kind == ErrorKind::PreconditionFailed && !overwritten => {
                overwritten = true;
            }
            Ok(found) if contradict(&looked, &found.meta) => {
                return Err(strange("an object has two sizes under one entity tag"));
            }
            other => return other,
        }
    }
}

/// One version of two sizes.
fn contradict(one: &ObjectMeta, other: &ObjectMeta) -> bool {
    let both_say = one.size.is_some() && other.size.is_some();
    one.etag.is_some() && one.etag == other.etag && both_say && one.size != other.size
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
    let look = async || stat(storage, "get", key).await.ok();
    match error.kind {
        ErrorKind::RangeNotSatisfiable { size } => {
            let size = match size {
                Some(size) => Some(size),
                None => look().await.and_then(|meta| meta.size),
            };
            let inside = |size| {
                options
                    .range
                    .is_some_and(|range| range.resolve(size).is_some())
            };
            match size.is_some_and(inside) {
                true => strange("storage refuses a range that lies inside the object"),
                false => BackendError::new(ErrorKind::RangeNotSatisfiable { size }, "get"),
            }
        }
        ErrorKind::NotModified | ErrorKind::PreconditionFailed if both_kinds => {
            let meta = look().await;
            let kind = meta.and_then(|meta| evaluate(&options.conditions, &meta).err());
            kind.map_or(error, |kind| BackendError::new(kind, "get"))
        }
        ErrorKind::NotFound
        | ErrorKind::NotModified
        | ErrorKind::PreconditionFailed
        | ErrorKind::InvalidKey
        | ErrorKind::Timeout
        | ErrorKind::NoAnswer
        | ErrorKind::Unavailable
        | ErrorKind::Busy { .. }
        | ErrorKind::Upstream
        | ErrorKind::Corrupt => error,
    }
}

fn strange(what: &'static str) -> BackendError {
    BackendError::with_source(ErrorKind::Upstream, "get", what)
}
