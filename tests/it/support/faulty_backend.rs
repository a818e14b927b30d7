//! Storage that fails as it is told to.

use std::sync::Arc;

use asset_gateway_backends::error::Result;
use asset_gateway_backends::object_backend::memory::MemoryBackend;
use asset_gateway_backends::object_backend::{
    Capabilities, GetOptions, GetResult, ObjectBackend, ObjectMeta, PutOptions, Upload,
};
use asset_gateway_backends::{BackendError, ErrorKind};
use async_trait::async_trait;
use parking_lot::Mutex;

#[derive(Debug, Clone, Copy)]
pub enum Fault {
    Error(ErrorKind),
    Panic,
    /// Never answers.
    Hang,
}

/// Each fault, and how clients are told: status and code.
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

/// A bucket in memory, in front of which a fault can be put.
#[derive(Clone, Default)]
pub struct FaultyBackend {
    inner: MemoryBackend,
    fault: Arc<Mutex<Option<Fault>>>,
}

impl FaultyBackend {
    pub fn fail(&self, fault: Fault) {
        *self.fault.lock() = Some(fault);
    }

    pub fn heal(&self) {
        *self.fault.lock() = None;
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
        self.inner.head(key, options).await
    }

    async fn get(&self, key: &str, options: &GetOptions) -> Result<GetResult> {
        self.check().await?;
        self.inner.get(key, options).await
    }

    async fn put(&self, key: &str, options: PutOptions) -> Result<Box<dyn Upload>> {
        self.check().await?;
        self.inner.put(key, options).await
    }

    async fn delete(&self, key: &str) -> Result<()> {
        self.check().await?;
        self.inner.delete(key).await
    }

    async fn ping(&self) -> Result<()> {
        self.check().await
    }
}
