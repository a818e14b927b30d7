//! Decorators that measure the operations of any store or backend.

use std::sync::{Arc, OnceLock};
use std::time::Instant;

use async_trait::async_trait;
use metrics::Histogram;

use crate::error::{ErrorKind, Result};
use crate::object_backend::{
    Capabilities, GetOptions, GetResult, ObjectBackend, ObjectMeta, PutOptions, Upload,
};
use crate::token_store::{TokenStore, TokenStoreLayer};

/// Histogram, seconds, by `operation` and `outcome`.
pub const TOKEN_STORE_SECONDS: &str = "asset_gateway_token_store_operation_duration_seconds";
/// Histogram, seconds, by `bucket` alias, `operation` and `outcome`.
pub const STORAGE_SECONDS: &str = "asset_gateway_storage_operation_duration_seconds";

/// Value of the label `outcome`: `ok`, or the kind of the error.
fn outcome<T>(result: &Result<T>) -> &'static str {
    match result {
        Ok(_) => "ok",
        Err(error) => match error.kind {
            ErrorKind::NotFound => "not_found",
            ErrorKind::NotModified => "not_modified",
            ErrorKind::PreconditionFailed => "precondition_failed",
            ErrorKind::RangeNotSatisfiable { .. } => "range_not_satisfiable",
            ErrorKind::InvalidKey => "invalid_key",
            ErrorKind::Timeout => "timeout",
            ErrorKind::NoAnswer => "no_answer",
            ErrorKind::Unavailable => "unavailable",
            ErrorKind::Busy { .. } => "busy",
            ErrorKind::Upstream => "upstream",
            ErrorKind::Corrupt => "corrupt",
        },
    }
}

/// Measures the operations of a token store, but for `ping` and `close`.
pub struct MeteredStore {
    inner: Arc<dyn TokenStore>,
    /// The histogram of successful reservations, looked up once because each download needs it.
    reserved: OnceLock<Histogram>,
}

impl MeteredStore {
    /// Wraps a store.
    pub fn new(inner: Arc<dyn TokenStore>) -> Self {
        Self {
            inner,
            reserved: OnceLock::new(),
        }
    }
}

impl TokenStoreLayer for MeteredStore {
    fn inner(&self) -> &dyn TokenStore {
        &*self.inner
    }

    async fn around<T: Send>(
        &self,
        operation: &'static str,
        call: impl Future<Output = Result<T>> + Send,
    ) -> Result<T> {
        let began = Instant::now();
        let result = call.await;
        let outcome = outcome(&result);
        let histogram = || metrics::histogram!(TOKEN_STORE_SECONDS, "operation" => operation, "outcome" => outcome);
        match (operation, &result) {
            ("ping" | "close", _) => {}
            ("reserve", Ok(_)) => self.reserved.get_or_init(histogram).record(began.elapsed()),
            _ => histogram().record(began.elapsed()),
        }
        result
    }
}

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

    async fn measure<T>(
        &self,
        operation: &'static str,
        call: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let began = Instant::now();
        let result = call.await;
        metrics::histogram!(
            STORAGE_SECONDS,
            "bucket" => Arc::clone(&self.alias),
            "operation" => operation,
            "outcome" => outcome(&result),
        )
        .record(began.elapsed());
        result
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
        self.measure("head", self.inner.head(key, options)).await
    }

    async fn get(&self, key: &str, options: &GetOptions) -> Result<GetResult> {
        self.measure("get", self.inner.get(key, options)).await
    }

    async fn put(&self, key: &str, options: PutOptions) -> Result<Box<dyn Upload>> {
        self.measure("put", self.inner.put(key, options)).await
    }

    async fn delete(&self, key: &str) -> Result<()> {
        self.measure("delete", self.inner.delete(key)).await
    }

    async fn abort_upload(&self, key: &str, reference: &str) -> Result<()> {
        let call = self.inner.abort_upload(key, reference);
        self.measure("abort_upload", call).await
    }

    async fn fence_off(&self, marker: &str) -> Result<()> {
        self.measure("fence_off", self.inner.fence_off(marker))
            .await
    }

    async fn ping(&self) -> Result<()> {
        self.inner.ping().await
    }

    async fn sweep(&self) -> Result<()> {
        self.inner.sweep().await
    }
}
