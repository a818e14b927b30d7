//! Objects in the memory of this process, for tests and first steps. They are lost at its end.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures_util::stream::{self, StreamExt};
use parking_lot::RwLock;

use super::conditions::evaluate;
use super::upload::check_fence;
use super::{
    Capabilities, GetOptions, GetResult, ObjectBackend, ObjectMeta, PutOptions, Stored, Upload,
};
use crate::error::{BackendError, ErrorKind, Result};

const CHUNK_BYTES: usize = 64 * 1024;

/// A bucket in memory. Clones share their objects.
#[derive(Clone, Default)]
pub struct MemoryBackend {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    objects: RwLock<HashMap<String, Arc<Object>>>,
    /// Entity tag of the next object.
    version: AtomicU64,
}

struct Object {
    meta: ObjectMeta,
    bytes: Bytes,
}

impl MemoryBackend {
    fn find(
        &self,
        operation: &'static str,
        key: &str,
        options: &GetOptions,
    ) -> Result<Arc<Object>> {
        let error = |kind| BackendError::new(kind, operation);
        let found = self.shared.objects.read().get(key).cloned();
        let object = found.ok_or_else(|| error(ErrorKind::NotFound))?;
        evaluate(&options.conditions, &object.meta).map_err(error)?;
        Ok(object)
    }
}

#[async_trait]
impl ObjectBackend for MemoryBackend {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            markers: true,
            exclusive_create: true,
            content_encoding: true,
            content_language: true,
            writes_end_with_process: true,
            fences_off: false,
        }
    }

    /// Every key is valid.
    fn check_key(&self, _: &str) -> Result<()> {
        Ok(())
    }

    async fn head(&self, key: &str, options: &GetOptions) -> Result<ObjectMeta> {
        Ok(self.find("head", key, options)?.meta.clone())
    }

    async fn get(&self, key: &str, options: &GetOptions) -> Result<GetResult> {
        let object = self.find("get", key, options)?;
        let size = object.bytes.len() as u64;
        let range = match options.range {
            Some(range) => {
                let outside = ErrorKind::RangeNotSatisfiable { size: Some(size) };
                let resolved = range.resolve(size);
                Some(resolved.ok_or_else(|| BackendError::new(outside, "get"))?)
            }
            None => None,
        };
        let mut rest = match &range {
            // The length of an object in memory fits in a usize.
            Some(range) => object.bytes.slice(range.start as usize..range.end as usize),
            None => object.bytes.clone(),
        };
        let chunks = std::iter::from_fn(move || {
            let length = rest.len().min(CHUNK_BYTES);
            (length > 0).then(|| Ok(rest.split_to(length)))
        });
        Ok(GetResult {
            meta: object.meta.clone(),
            range,
            body: stream::iter(chunks).boxed(),
        })
    }

    async fn put(&self, key: &str, options: PutOptions) -> Result<Box<dyn Upload>> {
        Ok(Box::new(MemoryUpload {
            shared: Arc::clone(&self.shared),
            key: key.to_owned(),
            options,
            bytes: BytesMut::new(),
        }))
    }

    async fn delete(&self, key: &str) -> Result<()> {
        self.shared.objects.write().remove(key);
        Ok(())
    }

    async fn ping(&self) -> Result<()> {
        Ok(())
    }
}

struct MemoryUpload {
    shared: Arc<Shared>,
    key: String,
    options: PutOptions,
    bytes: BytesMut,
}

#[async_trait]
impl Upload for MemoryUpload {
    async fn write(&mut self, chunk: Bytes) -> Result<()> {
        self.bytes.extend_from_slice(&chunk);
        Ok(())
    }

    async fn finish(self: Box<Self>) -> Result<Stored> {
        let upload = *self;
        let etag = format!(
            "{:x}",
            upload.shared.version.fetch_add(1, Ordering::Relaxed)
        );
        let size = upload.bytes.len() as u64;
        let object = Object {
            meta: ObjectMeta {
                size: Some(size),
                etag: Some(etag.clone()),
                last_modified: Some(SystemTime::now()),
                content_type: Some(upload.options.stored_type()),
                cache_control: None,
                content_encoding: upload.options.content_encoding,
                content_language: upload.options.content_language,
                marker: upload.options.marker,
            },
            bytes: upload.bytes.freeze(),
        };
        let mut objects = upload.shared.objects.write();
        if upload.options.must_not_exist && objects.contains_key(&upload.key) {
            return Err(BackendError::new(ErrorKind::PreconditionFailed, "put"));
        }
        // Checked under the lock: a later HEAD sees whether the object became visible.
        check_fence(upload.options.fence.as_ref())?;
        objects.insert(upload.key, Arc::new(object));
        Ok(Stored { etag, size })
    }

    async fn abort(self: Box<Self>) -> Result<()> {
        Ok(())
    }
}
