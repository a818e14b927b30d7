//! Objects as files below a folder.
//!
//! An object is a regular file whose path is the key. Folders, sockets and links that lead out of the
//! root are no objects. The gateway keeps its own files in `.asset-gateway` at the root.
//!
//! - [`bucket`]: open, read and delete objects; [`body`]: a file's bytes as a stream.
//! - [`upload`]: an upload writes a [temporary file](temp_file), and [`publish`] gives it its name.
//! - [`path`]: keys to paths that cannot leave the root; [`folders`]: folders of objects, durable.
//! - [`file_metadata`]: the entity tag and the extended attributes of a file; [`attribute_store`]: sidecar
//!   files in their place.
//! - [`error`]: errors of the operating system to ours.

mod attribute_store;
mod body;
mod bucket;
mod error;
mod file_metadata;
mod folders;
mod path;
mod publish;
mod temp_file;
#[cfg(test)]
mod tests;
mod upload;

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;

use self::bucket::Bucket;
use self::error::on_io;
use self::path::relative;
use self::upload::FsUpload;
use super::{Capabilities, GetOptions, GetResult, ObjectBackend, ObjectMeta, PutOptions, Upload};
use crate::error::{BackendError, ErrorKind, Result};

/// A bucket in a folder.
pub struct FsBackend {
    bucket: Arc<Bucket>,
}

impl FsBackend {
    /// Makes the folder where it is missing.
    pub fn open(root: PathBuf) -> std::io::Result<Self> {
        let bucket = Arc::new(Bucket::open(root, false)?);
        Ok(Self { bucket })
    }

    /// As [`open`](Self::open), but writes sidecar files even where the file system keeps extended
    /// attributes.
    pub fn open_without_attributes(root: PathBuf) -> std::io::Result<Self> {
        let bucket = Arc::new(Bucket::open(root, true)?);
        Ok(Self { bucket })
    }
}

#[async_trait]
impl ObjectBackend for FsBackend {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            markers: true,
            exclusive_create: true,
            content_encoding: true,
            content_language: true,
            writes_end_with_process: true,
            fences_off: true,
        }
    }

    fn check_key(&self, key: &str) -> Result<()> {
        relative("check_key", key).map(drop)
    }

    async fn head(&self, key: &str, options: &GetOptions) -> Result<ObjectMeta> {
        let (bucket, key, options) = (Arc::clone(&self.bucket), key.to_owned(), options.clone());
        run_blocking("head", move || bucket.head(&key, &options)).await
    }

    async fn get(&self, key: &str, options: &GetOptions) -> Result<GetResult> {
        if let Some(found) = self.bucket.get_cached(key, options) {
            return Ok(found);
        }
        let (bucket, key, options) = (Arc::clone(&self.bucket), key.to_owned(), options.clone());
        run_blocking("get", move || bucket.get(&key, &options)).await
    }

    async fn put(&self, key: &str, options: PutOptions) -> Result<Box<dyn Upload>> {
        let relative = relative("put", key)?.to_owned();
        let upload = FsUpload::begin(Arc::clone(&self.bucket), relative, options).await?;
        Ok(Box::new(upload))
    }

    async fn delete(&self, key: &str) -> Result<()> {
        let (bucket, key) = (Arc::clone(&self.bucket), key.to_owned());
        run_blocking("delete", move || bucket.delete(&key)).await
    }

    /// Removes the temporary file: the upload's rename either came first, or finds no file.
    async fn fence_off(&self, marker: &str) -> Result<()> {
        let (bucket, marker) = (Arc::clone(&self.bucket), marker.to_owned());
        run_blocking("fence_off", move || {
            let removed = bucket.temps.remove(&marker);
            removed.map_err(|error| on_io("fence_off", error))
        })
        .await
    }

    async fn ping(&self) -> Result<()> {
        let bucket = Arc::clone(&self.bucket);
        run_blocking("ping", move || {
            let opened = bucket.root.open();
            opened.map(drop).map_err(|errno| on_io("ping", errno))
        })
        .await
    }

    async fn sweep(&self) -> Result<()> {
        let bucket = Arc::clone(&self.bucket);
        let removed = run_blocking("sweep", move || {
            bucket.temps.sweep().map_err(|error| on_io("sweep", error))
        })
        .await?;
        if removed > 0 {
            tracing::info!(
                removed,
                "temporary files of interrupted uploads were removed"
            );
        }
        Ok(())
    }
}

/// Runs `work`, which may wait for a disk, away from the runtime's threads. It runs to its end also
/// where the returned future is dropped.
async fn run_blocking<T: Send + 'static>(
    operation: &'static str,
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    let ended = tokio::task::spawn_blocking(work).await;
    ended.map_err(|error| BackendError::with_source(ErrorKind::Upstream, operation, error))?
}
