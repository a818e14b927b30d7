//! Storage, or a proxy in front of it, that answers wrongly: what an adapter accepts.

pub mod bodies;
pub mod busy;
pub mod headers;
pub mod ranges;
pub mod statuses;
pub mod uploads;

use std::sync::Arc;

use asset_gateway_backends::BackendError;
use asset_gateway_backends::error::{ErrorKind, Result};
use asset_gateway_backends::object_backend::{
    ByteRange, GetOptions, GetResult, ObjectBackend, PutOptions, Stored,
};
use asset_gateway_backends::open::open_bucket;
use bytes::Bytes;
use futures_util::TryStreamExt;

use super::Settings;
use crate::support::scripted_storage::{Reply, Request, ScriptedStorage};

pub async fn open<R: Into<Reply>>(
    settings: Settings,
    script: impl FnMut(&Request) -> R + Send + 'static,
) -> (Arc<dyn ObjectBackend>, ScriptedStorage) {
    crate::support::install_crypto();
    let storage = ScriptedStorage::start(script).await;
    let backend = open_bucket(&settings(storage.endpoint.clone())).unwrap();
    (backend, storage)
}

pub fn ranged(range: ByteRange) -> GetOptions {
    GetOptions {
        range: Some(range),
        ..GetOptions::default()
    }
}

pub fn between(first: u64, last: u64) -> ByteRange {
    ByteRange::From {
        first,
        last: Some(last),
    }
}

pub async fn read(found: GetResult) -> Result<Bytes> {
    let chunks: Vec<Bytes> = found.body.try_collect().await?;
    Ok(chunks.concat().into())
}

pub async fn get(backend: &Arc<dyn ObjectBackend>, options: &GetOptions) -> Result<GetResult> {
    backend.get("k", options).await
}

pub async fn head(
    backend: &Arc<dyn ObjectBackend>,
) -> Result<asset_gateway_backends::object_backend::ObjectMeta> {
    backend.head("k", &GetOptions::default()).await
}

#[track_caller]
pub fn refused<T>(result: Result<T>, kind: ErrorKind, what: impl std::fmt::Debug) -> BackendError {
    match result {
        Ok(_) => panic!("{what:?}: accepted"),
        Err(error) => {
            assert_eq!(error.kind, kind, "{what:?}: {error}");
            error
        }
    }
}

/// A GET and a HEAD of the object fail with this kind.
pub async fn assert_refused(
    backend: &Arc<dyn ObjectBackend>,
    kind: ErrorKind,
    what: impl std::fmt::Debug,
) {
    refused(get(backend, &GetOptions::default()).await, kind, &what);
    refused(head(backend).await, kind, &what);
}

pub async fn put(
    backend: &Arc<dyn ObjectBackend>,
    options: PutOptions,
    length: usize,
) -> Result<Stored> {
    let mut upload = backend.put("k", options).await?;
    let mut left = length;
    while left > 0 {
        let chunk = left.min(1 << 20);
        if let Err(error) = upload.write(Bytes::from(vec![7; chunk])).await {
            let _ = upload.abort().await;
            return Err(error);
        }
        left -= chunk;
    }
    upload.finish().await
}
