//! HEAD and GET of an object at remote storage: conditions, ranges, one version.
//!
//! A download is one request where storage evaluates the conditions as RFC 9110 says; otherwise a HEAD
//! goes first. Adapters implement [`ObjectRequests`].

use async_trait::async_trait;

use super::response::ObjectResponse;
use super::retry::send_with_retries;
use super::sent_conditions::{for_storage, has_both_kinds, if_same_version};
use crate::error::{BackendError, ErrorKind, Result};
use crate::object_backend::conditions::evaluate;
use crate::object_backend::{ByteRange, Conditions, GetOptions, GetResult, ObjectMeta};

/// The two requests of downloads, each sent once.
#[async_trait]
pub trait ObjectRequests: Sync {
    async fn head_object(&self, key: &str) -> Result<ObjectResponse>;

    /// `sent` are conditions that [`for_storage`] returned.
    async fn get_object(
        &self,
        key: &str,
        sent: &Conditions,
        range: Option<ByteRange>,
    ) -> Result<ObjectResponse>;
}

/// [`ObjectBackend::head`](crate::object_backend::ObjectBackend::head).
pub async fn head(
    storage: &impl ObjectRequests,
    key: &str,
    options: &GetOptions,
) -> Result<ObjectMeta> {
    let meta = head_object(storage, "head", key).await?;
    evaluate(&options.conditions, &meta).map_err(|kind| BackendError::new(kind, "head"))?;
    Ok(meta)
}

/// [`ObjectBackend::get`](crate::object_backend::ObjectBackend::get).
pub async fn get(
    storage: &impl ObjectRequests,
    key: &str,
    options: &GetOptions,
) -> Result<GetResult> {
    let is_empty = match options.range {
        Some(ByteRange::Suffix { length }) => length == 0,
        Some(ByteRange::From { first, last }) => last.is_some_and(|last| last < first),
        None => false,
    };
    if is_empty {
        // No header can ask for such a range. A missing object and failed conditions go first.
        let meta = head(storage, key, options).await?;
        let outside = ErrorKind::RangeNotSatisfiable { size: meta.size };
        return Err(BackendError::new(outside, "get"));
    }
    let (both_kinds, result) = match for_storage(&options.conditions) {
        None => (false, head_then_get(storage, key, options).await),
        Some(sent) => {
            let both_kinds = has_both_kinds(&sent);
            (
                both_kinds,
                get_object(storage, key, &sent, options.range).await,
            )
        }
    };
    match result {
        Ok(found) => Ok(found),
        Err(error) => Err(refine_error(storage, key, options, both_kinds, error).await),
    }
}

async fn head_object(
    storage: &impl ObjectRequests,
    operation: &'static str,
    key: &str,
) -> Result<ObjectMeta> {
    let response = send_with_retries(operation, || storage.head_object(key)).await?;
    response.into_meta()
}

async fn get_object(
    storage: &impl ObjectRequests,
    key: &str,
    sent: &Conditions,
    range: Option<ByteRange>,
) -> Result<GetResult> {
    let response = send_with_retries("get", || storage.get_object(key, sent, range)).await?;
    response.into_result(range)
}

/// Sends a HEAD, evaluates the conditions, and requests the version that the HEAD found.
async fn head_then_get(
    storage: &impl ObjectRequests,
    key: &str,
    options: &GetOptions,
) -> Result<GetResult> {
    let mut overwritten = false;
    loop {
        let found = head_object(storage, "get", key).await?;
        evaluate(&options.conditions, &found).map_err(|kind| BackendError::new(kind, "get"))?;
        let version = found
            .etag
            .as_deref()
            .map(if_same_version)
            .unwrap_or_default();
        match get_object(storage, key, &version, options.range).await {
            // The object was overwritten in between: once more, for the new version.
            Err(error) if error.kind == ErrorKind::PreconditionFailed && !overwritten => {
                overwritten = true;
            }
            Ok(result) if contradict(&found, &result.meta) => {
                return Err(invalid_response(
                    "an object has two sizes under one entity tag",
                ));
            }
            other => return other,
        }
    }
}

/// One version with two sizes.
fn contradict(one: &ObjectMeta, other: &ObjectMeta) -> bool {
    let both_say = one.size.is_some() && other.size.is_some();
    one.etag.is_some() && one.etag == other.etag && both_say && one.size != other.size
}

/// Makes the error of a refused GET as exact as [`ObjectBackend`](crate::object_backend::ObjectBackend)
/// promises, with a HEAD where that is needed.
async fn refine_error(
    storage: &impl ObjectRequests,
    key: &str,
    options: &GetOptions,
    both_kinds: bool,
    error: BackendError,
) -> BackendError {
    let current = async || head_object(storage, "get", key).await.ok();
    match error.kind {
        ErrorKind::RangeNotSatisfiable { size } => {
            let size = match size {
                Some(size) => Some(size),
                None => current().await.and_then(|meta| meta.size),
            };
            let inside = |size| {
                options
                    .range
                    .is_some_and(|range| range.resolve(size).is_some())
            };
            match size.is_some_and(inside) {
                true => invalid_response("storage refuses a range that lies inside the object"),
                false => BackendError::new(ErrorKind::RangeNotSatisfiable { size }, "get"),
            }
        }
        ErrorKind::NotModified | ErrorKind::PreconditionFailed if both_kinds => {
            let meta = current().await;
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

fn invalid_response(what: &'static str) -> BackendError {
    BackendError::with_source(ErrorKind::Upstream, "get", what)
}
