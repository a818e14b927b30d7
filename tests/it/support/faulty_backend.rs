//! A bucket in memory that fails, changes its answers or holds uploads back on demand.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};

use asset_gateway_backends::error::Result;
use asset_gateway_backends::object_backend::memory::MemoryBackend;
use asset_gateway_backends::object_backend::{
    Capabilities, GetOptions, GetResult, ObjectBackend, ObjectMeta, PutOptions, Stored, Upload,
};
use asset_gateway_backends::{BackendError, ErrorKind};
use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::Mutex;

use super::faulty_store::Gate;

#[derive(Debug, Clone, Copy)]
pub enum Fault {
    Error(ErrorKind),
    Panic,
    /// Never answers.
    Hang,
}

/// Each fault, with the status and the code that clients see.
pub const FAULTS: [(Fault, u16, &str); 6] = [
    (Fault::Error(ErrorKind::Upstream), 502, "upstream_error"),
    (Fault::Error(ErrorKind::Unavailable), 502, "upstream_error"),
    (
        Fault::Error(ErrorKind::Busy { retry_after: None }),
        503,
        "unavailable",
    ),
    (Fault::Error(ErrorKind::NoAnswer), 502, "upstream_error"),
    (Fault::Error(ErrorKind::Timeout), 504, "upstream_timeout"),
    (Fault::Panic, 500, "internal_error"),
];

type Change = Arc<dyn Fn(&mut ObjectMeta) + Send + Sync>;

#[derive(Clone, Default)]
pub struct FaultyBackend {
    inner: MemoryBackend,
    fault: Arc<Mutex<Option<Fault>>>,
    change: Arc<Mutex<Option<Change>>>,
    /// The first upload waits here before it becomes visible.
    pub before_finish: Arc<Gate>,
    /// The first upload waits here after it has become visible.
    pub after_finish: Arc<Gate>,
    pub uploads: Arc<AtomicUsize>,
    /// Makes uploads visible after their lease has expired, as slow storage does.
    pub ignores_fences: Arc<AtomicBool>,
}

impl FaultyBackend {
    pub fn fail(&self, fault: Fault) {
        *self.fault.lock() = Some(fault);
    }

    pub fn heal(&self) {
        *self.fault.lock() = None;
    }

    /// Changes the metadata in every later answer, as another writer of the bucket could have.
    pub fn describe(&self, change: impl Fn(&mut ObjectMeta) + Send + Sync + 'static) {
        *self.change.lock() = Some(Arc::new(change));
    }

    /// Changes the content type in every later answer.
    pub fn claim_type(&self, content_type: &str) {
        let content_type = content_type.to_owned();
        self.describe(move |meta| meta.content_type = Some(content_type.clone()));
    }

    /// Stores an object, past the gateway.
    pub async fn place(&self, key: &str, content: &str) {
        let upload = self.inner.put(key, PutOptions::default()).await;
        let mut upload = upload.unwrap();
        upload.write(Bytes::from(content.to_owned())).await.unwrap();
        upload.finish().await.unwrap();
    }

    async fn check(&self) -> Result<()> {
        let fault = *self.fault.lock();
        match fault {
            None => Ok(()),
            Some(Fault::Error(kind)) => Err(BackendError::new(kind, "told to")),
            Some(Fault::Panic) => panic!("told to"),
            Some(Fault::Hang) => std::future::pending().await,
        }
    }

    fn described(&self, mut meta: ObjectMeta) -> ObjectMeta {
        let change = self.change.lock().clone();
        if let Some(change) = change {
            change(&mut meta);
        }
        meta
    }
}

#[async_trait]
impl ObjectBackend for FaultyBackend {
    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    fn check_key(&self, key: &str) -> Result<()> {
        self.inner.check_key(key)
    }

    async fn head(&self, key: &str, options: &GetOptions) -> Result<ObjectMeta> {
        self.check().await?;
        Ok(self.described(self.inner.head(key, options).await?))
    }

    async fn get(&self, key: &str, options: &GetOptions) -> Result<GetResult> {
        self.check().await?;
        let found = self.inner.get(key, options).await?;
        Ok(GetResult {
            meta: self.described(found.meta.clone()),
            ..found
        })
    }

    async fn put(&self, key: &str, mut options: PutOptions) -> Result<Box<dyn Upload>> {
        self.check().await?;
        if self.ignores_fences.load(SeqCst) {
            options.fence = None;
        }
        let inner = self.inner.put(key, options).await?;
        if self.uploads.fetch_add(1, SeqCst) > 0 {
            return Ok(inner);
        }
        let gates = [&self.before_finish, &self.after_finish].map(Arc::clone);
        Ok(Box::new(GatedUpload { inner, gates }))
    }

    async fn delete(&self, key: &str) -> Result<()> {
        self.check().await?;
        self.inner.delete(key).await
    }

    async fn ping(&self) -> Result<()> {
        self.check().await
    }
}

struct GatedUpload {
    inner: Box<dyn Upload>,
    gates: [Arc<Gate>; 2],
}

#[async_trait]
impl Upload for GatedUpload {
    async fn write(&mut self, piece: Bytes) -> Result<()> {
        self.inner.write(piece).await
    }

    async fn finish(self: Box<Self>) -> Result<Stored> {
        let [before, after] = self.gates;
        before.pass().await;
        let stored = self.inner.finish().await;
        after.pass().await;
        stored
    }

    async fn abort(self: Box<Self>) -> Result<()> {
        self.inner.abort().await
    }
}
