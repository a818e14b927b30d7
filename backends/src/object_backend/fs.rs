//! Objects as files below a folder.
//!
//! An object is a regular file whose path is the key. Folders, sockets and links that lead out of the
//! root are no objects. The gateway keeps its own files in `.asset-gateway` at the root.
//!
//! - [`Bucket`]: open, read and delete objects; [`body`]: a file's bytes as a stream.
//! - [`upload`]: an upload writes a [temporary file](temp_file), and [`publish`] gives it its name.
//! - [`path`]: keys to paths that cannot leave the root; [`folders`]: folders of objects, durable.
//! - [`file_metadata`]: the entity tag and the extended attributes of a file; [`attribute_store`]: sidecar
//!   files in their place.
//! - [`error`]: errors of the operating system to ours.

mod attribute_store;
mod body;
mod error;
mod file_metadata;
mod folders;
mod path;
mod publish;
mod temp_file;
#[cfg(test)]
mod tests;
mod upload;

use std::fs::File;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use rustix::fs::{AtFlags, FileType, Mode, OFlags, openat, statat, unlinkat};
use rustix::io::Errno;

use self::attribute_store::AttributeStore;
use self::error::{on_io, on_read};
use self::file_metadata::FileIdentity;
use self::folders::Folders;
use self::path::{NO_ACCESS, OWN_FOLDER, Root, relative};
use self::temp_file::TempFolder;
use self::upload::FsUpload;
use super::conditions::evaluate;
use super::{
    ByteRange, Capabilities, GetOptions, GetResult, ObjectBackend, ObjectMeta, PutOptions, Upload,
};
use crate::error::{BackendError, ErrorKind, Result};
use crate::private_files;
use crate::sync_folders::sync_folders;

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

/// Objects on disk: what uploads and blocking threads share. Every call may block.
struct Bucket {
    root: Root,
    folders: Folders,
    temps: TempFolder,
    attributes: AttributeStore,
}

impl Bucket {
    /// Makes the folder where it is missing, durably.
    fn open(root: PathBuf, only_sidecars: bool) -> std::io::Result<Self> {
        // The path stays right where the process changes its working folder.
        let root = std::path::absolute(root)?;
        let own = root.join(OWN_FOLDER);
        let (temps, sidecars) = (own.join("tmp"), own.join("types"));
        // Other users may share the root and the objects, but not the gateway's own files.
        std::fs::create_dir_all(&root)?;
        private_files::create_folder(&own)?;
        private_files::create_folder(&temps)?;
        private_files::create_folder(&sidecars)?;
        private_files::restrict_all(&sidecars);
        sync_folders(&own)?;
        Ok(Self {
            root: Root::new(root),
            folders: Folders::default(),
            temps: TempFolder::new(temps),
            attributes: AttributeStore::new(sidecars, only_sidecars),
        })
    }
}

/// Does not wait for the writer of a named pipe.
const READ: OFlags = OFlags::RDONLY
    .union(OFlags::CLOEXEC)
    .union(OFlags::NONBLOCK)
    .union(OFlags::NOCTTY);

/// The requested bytes, where the conditions hold; `None` = all.
fn select(options: &GetOptions, meta: &ObjectMeta) -> Result<Option<Range<u64>>> {
    evaluate(&options.conditions, meta).map_err(|kind| BackendError::new(kind, "get"))?;
    let resolve = |range: ByteRange| {
        let outside = ErrorKind::RangeNotSatisfiable { size: meta.size };
        range
            .resolve(meta.size.unwrap_or_default())
            .ok_or_else(|| BackendError::new(outside, "get"))
    };
    options.range.map(resolve).transpose()
}

/// An open file with its metadata: body and headers come from one inode.
struct Opened {
    file: File,
    meta: ObjectMeta,
}

impl Bucket {
    fn open_object(&self, operation: &'static str, key: &str) -> Result<Opened> {
        let relative = relative(operation, key)?;
        let file = self
            .root
            .open_below(relative, READ)
            .map_err(|errno| on_read(operation, errno))?;
        self.with_metadata(operation, file.into(), relative)
    }

    fn with_metadata(
        &self,
        operation: &'static str,
        file: File,
        relative: &Path,
    ) -> Result<Opened> {
        let metadata = file.metadata().map_err(|error| on_io(operation, error))?;
        if !metadata.is_file() {
            return Err(BackendError::new(ErrorKind::NotFound, operation));
        }
        let identity = FileIdentity::of(&metadata);
        let attributes = self.attributes.read(&file, identity, relative);
        let meta = ObjectMeta {
            size: Some(identity.size),
            etag: Some(identity.etag()),
            last_modified: metadata.modified().ok(),
            content_type: attributes.content_type,
            cache_control: None,
            content_encoding: attributes.content_encoding,
            content_language: attributes.content_language,
            marker: attributes.marker,
        };
        Ok(Opened { file, meta })
    }

    fn head(&self, key: &str, options: &GetOptions) -> Result<ObjectMeta> {
        let opened = self.open_object("head", key)?;
        evaluate(&options.conditions, &opened.meta)
            .map_err(|kind| BackendError::new(kind, "head"))?;
        Ok(opened.meta)
    }

    fn get(&self, key: &str, options: &GetOptions) -> Result<GetResult> {
        let Opened { file, meta } = self.open_object("get", key)?;
        let range = select(options, &meta)?;
        let span = range.clone().unwrap_or(0..meta.size.unwrap_or_default());
        let first = body::first_chunk(&file, &span).map_err(|error| on_io("get", error))?;
        Ok(GetResult {
            meta,
            range,
            body: body::stream("get", file, first, span),
        })
    }

    /// [`get`](Self::get) without a blocking thread, which would cost more than all the rest: answers
    /// where the kernel has the file and its first chunk in memory. `None` says nothing about the
    /// object.
    fn get_cached(&self, key: &str, options: &GetOptions) -> Option<GetResult> {
        let relative = relative("get", key).ok()?;
        let file: File = self.root.open_cached(relative, READ)?.into();
        let Opened { file, meta } = self.with_metadata("get", file, relative).ok()?;
        let range = select(options, &meta).ok()?;
        let span = range.clone().unwrap_or(0..meta.size.unwrap_or_default());
        let first = body::cached_chunk(&file, &span)?;
        Some(GetResult {
            meta,
            range,
            body: body::stream("get", file, first, span),
        })
    }

    fn delete(&self, key: &str) -> Result<()> {
        let relative = relative("delete", key)?;
        match self.unlink(relative) {
            // The key names nothing, or something that is no object.
            Err(Errno::NOENT | Errno::NOTDIR | Errno::ISDIR | Errno::LOOP | Errno::XDEV) => Ok(()),
            other => other.map_err(|errno| on_read("delete", errno)),
        }
    }

    fn unlink(&self, relative: &Path) -> Result<(), Errno> {
        let (Some(parent), Some(name)) = (relative.parent(), relative.file_name()) else {
            return Ok(());
        };
        let parent = if parent.as_os_str().is_empty() {
            Path::new(".")
        } else {
            parent
        };
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let folder = self.root.open_below(parent, flags)?;
        let stat = statat(&folder, name, AtFlags::SYMLINK_NOFOLLOW)?;
        if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
            return Ok(());
        }
        // Keeps the inode from being reused until the disk has lost the name.
        let _open = openat(&folder, name, NO_ACCESS | OFlags::NOFOLLOW, Mode::empty()).ok();
        unlinkat(&folder, name, AtFlags::empty())?;
        folders::sync(&folder)?;
        if stat.st_nlink == 1 {
            self.attributes.remove(FileIdentity::of_stat(&stat));
        }
        Ok(())
    }
}
