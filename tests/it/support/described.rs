//! Storage that says of its objects what it is told to.

use asset_gateway_backends::error::Result;
use asset_gateway_backends::object_backend::memory::MemoryBackend;
use asset_gateway_backends::object_backend::{
    Capabilities, GetOptions, GetResult, ObjectBackend, ObjectMeta, PutOptions, Upload,
};
use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::Mutex;
use std::sync::Arc;

type Describe = Arc<dyn Fn(&mut ObjectMeta) + Send + Sync>;

/// A bucket in memory whose metadata is changed on the way out, as other writers of the bucket
/// would have stored it.
#[derive(Clone)]
pub struct DescribedBackend {
    pub inner: MemoryBackend,
    describe: Arc<Mutex<Describe>>,
}

impl Default for DescribedBackend {
    fn default() -> Self {
        Self {
            inner: MemoryBackend::default(),
            describe: Arc::new(Mutex::new(Arc::new(|_| ()))),
        }
    }
}

impl DescribedBackend {
    /// Every later answer is changed by `describe`.
    pub fn describe(&self, describe: impl Fn(&mut ObjectMeta) + Send + Sync + 'static) {
        *self.describe.lock() = Arc::new(describe);
    }

    /// Every later answer says that the object is of this type.
    pub fn claim_type(&self, content_type: &str) {
        let content_type = content_type.to_owned();
        self.describe(move |meta| meta.content_type = Some(content_type.clone()));
    }

    /// Puts an object there, past the gateway.
    pub async fn place(&self, key: &str, content: &str) {
        let upload = self.inner.put(key, PutOptions::default()).await;
        let mut upload = upload.unwrap();
        upload.write(Bytes::from(content.to_owned())).await.unwrap();
        upload.finish().await.unwrap();
    }

    fn described(&self, mut meta: ObjectMeta) -> ObjectMeta {
        let describe = Arc::clone(&self.describe.lock());
        describe(&mut meta);
        meta
    }
}

#[async_trait]
impl ObjectBackend for DescribedBackend {
    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    fn check_key(&self, key: &str) -> Result<()> {
        self.inner.check_key(key)
    }

    async fn head(&self, key: &str, options: &GetOptions) -> Result<ObjectMeta> {
        let meta = self.inner.head(key, options).await?;
        Ok(self.described(meta))
    }

    async fn get(&self, key: &str, options: &GetOptions) -> Result<GetResult> {
        let found = self.inner.get(key, options).await?;
        Ok(GetResult {
            meta: self.described(found.meta.clone()),
            ..found
        })
    }

    async fn put(&self, key: &str, options: PutOptions) -> Result<Box<dyn Upload>> {
        self.inner.put(key, options).await
    }

    async fn delete(&self, key: &str) -> Result<()> {
        self.inner.delete(key).await
    }

    async fn ping(&self) -> Result<()> {
        Ok(())
    }
}
