//! Durations of a bucket's operations.

use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;

use super::{STORAGE_SECONDS, outcome, seconds};
use crate::error::Result;
use crate::object_backend::{
    Capabilities, GetOptions, GetResult, ObjectBackend, ObjectMeta, PutOptions, Upload,
};

/// Measures a bucket's operations until their response begins, without bodies, which are sent at the
/// client's pace.
pub struct MeteredBackend {
    alias: Arc<str>,
    inner: Arc<dyn ObjectBackend>,
}

impl MeteredBackend {
    /// Wraps the bucket `alias`.
    pub fn new(alias: &str, inner: Arc<dyn ObjectBackend>) -> Self {
        Self {
            alias: alias.into(),
            inner,
        }
    }

    fn record<T>(&self, operation: &'static str, began: Instant, result: &Result<T>) {
        metrics::histogram!(
            STORAGE_SECONDS,
            "bucket" => Arc::clone(&self.alias),
            "operation" => operation,
            "outcome" => outcome(result),
        )
        .record(seconds(began));
    }
}

#[async_trait]
impl ObjectBackend for MeteredBackend {
    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    fn check_key(&self, key: &str) -> Result<()> {
        self.inner.check_key(key)
    }

    async fn head(&self, key: &str, options: &GetOptions) -> Result<ObjectMeta> {
        let began = Instant::now();
        let result = self.inner.head(key, options).await;
        self.record("head", began, &result);
        result
    }

    async fn get(&self, key: &str, options: &GetOptions) -> Result<GetResult> {
        let began = Instant::now();
        let result = self.inner.get(key, options).await;
        self.record("get", began, &result);
        result
    }

    async fn put(&self, key: &str, options: PutOptions) -> Result<Box<dyn Upload>> {
        let began = Instant::now();
        let result = self.inner.put(key, options).await;
        self.record("put", began, &result);
        result
    }

    async fn delete(&self, key: &str) -> Result<()> {
        let began = Instant::now();
        let result = self.inner.delete(key).await;
        self.record("delete", began, &result);
        result
    }

    async fn abort_upload(&self, key: &str, reference: &str) -> Result<()> {
        let began = Instant::now();
        let result = self.inner.abort_upload(key, reference).await;
        self.record("abort_upload", began, &result);
        result
    }

    async fn fence_off(&self, marker: &str) -> Result<()> {
        let began = Instant::now();
        let result = self.inner.fence_off(marker).await;
        self.record("fence_off", began, &result);
        result
    }

    async fn ping(&self) -> Result<()> {
        self.inner.ping().await
    }

    async fn sweep(&self) -> Result<()> {
        self.inner.sweep().await
    }
}
