//! Objects as files below a folder.
//!
//! An object is a regular file; the key is its path. Everything else (folders, sockets, links that
//! lead out of the root) is not there. `.asset-gateway` at the root is ours.

mod attributes;
mod body;
mod error;
mod file_identity;
mod folders;
mod path;
mod publish;
mod sidecar;
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

use self::attributes::Attributes;
use self::error::{on_io, on_read};
use self::file_identity::Stamp;
use self::folders::Folders;
use self::path::{NO_ACCESS, OWN_FOLDER, Root, relative};
use self::sidecar::Beside;
use self::temp_file::TempFolder;
use self::upload::FsUpload;
use super::conditions::judge;
use super::{
    ByteRange, Capabilities, GetOptions, GetResult, ObjectBackend, ObjectMeta, PutOptions, Upload,
};
use crate::error::{BackendError, ErrorKind, Result};
use crate::private_files;
use crate::sync_folders::sync_folders;

/// A bucket in a folder. See the module's documentation.
pub struct FsBackend {
    shared: Arc<Shared>,
}

/// What uploads and blocking threads need of the backend.
struct Shared {
    root: Root,
    folders: Folders,
    temps: TempFolder,
    beside: Beside,
}

impl FsBackend {
    /// Makes the folder where it is missing.
    pub fn open(root: PathBuf) -> std::io::Result<Self> {
        Self::open_with(root, false)
    }

    /// As [`open`](Self::open), but writes content types beside the files even where the file
    /// system could keep them.
    pub fn open_without_attributes(root: PathBuf) -> std::io::Result<Self> {
        Self::open_with(root, true)
    }

    fn open_with(root: PathBuf, types_beside: bool) -> std::io::Result<Self> {
        // A process that changes its working folder keeps its buckets.
        let root = std::path::absolute(root)?;
        let own = root.join(OWN_FOLDER);
        let (temps, types) = (own.join("tmp"), own.join("types"));
        // The root and the objects may be shared with others; what is ours is not.
        std::fs::create_dir_all(&root)?;
        private_files::create_folder(&own)?;
        private_files::create_folder(&temps)?;
        private_files::create_folder(&types)?;
        private_files::restrict_all(&types);
        sync_folders(&own)?;
        Ok(Self {
            shared: Arc::new(Shared {
                root: Root::new(root),
                folders: Folders::default(),
                temps: TempFolder::new(temps),
                beside: Beside::new(types, types_beside),
            }),
        })
    }
}

/// Opening a pipe must not wait for its writer.
const READ: OFlags = OFlags::RDONLY
    .union(OFlags::CLOEXEC)
    .union(OFlags::NONBLOCK)
    .union(OFlags::NOCTTY);

/// The bytes that are asked for, if the conditions hold; `None` = all.
fn select(options: &GetOptions, meta: &ObjectMeta) -> Result<Option<Range<u64>>> {
    judge(&options.conditions, meta).map_err(|kind| BackendError::new(kind, "get"))?;
    let resolve = |range: ByteRange| {
        let outside = ErrorKind::RangeNotSatisfiable { size: meta.size };
        range
            .resolve(meta.size.unwrap_or_default())
            .ok_or_else(|| BackendError::new(outside, "get"))
    };
    options.range.map(resolve).transpose()
}

/// An object's open file and what is known of it: body and headers come from one inode.
struct Opened {
    file: File,
    meta: ObjectMeta,
}

impl Shared {
    fn open(&self, operation: &'static str, key: &str) -> Result<Opened> {
        let relative = relative(operation, key)?;
        let file = self
            .root
            .open_below(relative, READ)
            .map_err(|errno| on_read(operation, errno))?;
        self.look_at(operation, file.into(), relative)
    }

    fn look_at(&self, operation: &'static str, file: File, relative: &Path) -> Result<Opened> {
        let metadata = file.metadata().map_err(|error| on_io(operation, error))?;
        if !metadata.is_file() {
            return Err(BackendError::new(ErrorKind::NotFound, operation));
        }
        let stamp = Stamp::of(&metadata);
        let attributes = Attributes::read(&file, stamp, &self.beside, relative);
        let meta = ObjectMeta {
            size: Some(stamp.size),
            etag: Some(stamp.etag()),
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
        let opened = self.open("head", key)?;
        judge(&options.conditions, &opened.meta).map_err(|kind| BackendError::new(kind, "head"))?;
        Ok(opened.meta)
    }

    fn get(&self, key: &str, options: &GetOptions) -> Result<GetResult> {
        let Opened { file, meta } = self.open("get", key)?;
        let range = select(options, &meta)?;
        let span = range.clone().unwrap_or(0..meta.size.unwrap_or_default());
        let first = body::first_piece(&file, &span).map_err(|error| on_io("get", error))?;
        Ok(GetResult {
            meta,
            range,
            body: body::stream("get", file, first, span),
        })
    }

    /// As [`get`](Self::get) where the kernel has the file and its first piece in memory: a thread
    /// to wait on would cost more than all the rest. `None` says nothing about the object.
    fn get_cached(&self, key: &str, options: &GetOptions) -> Option<GetResult> {
        let relative = relative("get", key).ok()?;
        let file: File = self.root.open_cached(relative, READ)?.into();
        let Opened { file, meta } = self.look_at("get", file, relative).ok()?;
        let range = select(options, &meta).ok()?;
        let span = range.clone().unwrap_or(0..meta.size.unwrap_or_default());
        let first = body::cached_piece(&file, &span)?;
        Some(GetResult {
            meta,
            range,
            body: body::stream("get", file, first, span),
        })
    }

    fn delete(&self, key: &str) -> Result<()> {
        let relative = relative("delete", key)?;
        match self.unlink(relative) {
            // Not there, or no object.
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
        // Open until its name is gone from the disk: no other file gets its number before that.
        let _held = openat(&folder, name, NO_ACCESS | OFlags::NOFOLLOW, Mode::empty()).ok();
        unlinkat(&folder, name, AtFlags::empty())?;
        folders::sync(&folder)?;
        if stat.st_nlink == 1 {
            self.beside.remove(Stamp::of_stat(&stat));
        }
        Ok(())
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
            ends_with_the_process: true,
            fences_off: true,
        }
    }

    fn check_key(&self, key: &str) -> Result<()> {
        relative("check_key", key).map(drop)
    }

    async fn head(&self, key: &str, options: &GetOptions) -> Result<ObjectMeta> {
        let (shared, key, options) = (Arc::clone(&self.shared), key.to_owned(), options.clone());
        run_blocking("head", move || shared.head(&key, &options)).await
    }

    async fn get(&self, key: &str, options: &GetOptions) -> Result<GetResult> {
        if let Some(found) = self.shared.get_cached(key, options) {
            return Ok(found);
        }
        let (shared, key, options) = (Arc::clone(&self.shared), key.to_owned(), options.clone());
        run_blocking("get", move || shared.get(&key, &options)).await
    }

    async fn put(&self, key: &str, options: PutOptions) -> Result<Box<dyn Upload>> {
        let relative = relative("put", key)?.to_owned();
        let upload = FsUpload::begin(Arc::clone(&self.shared), relative, options).await?;
        Ok(Box::new(upload))
    }

    async fn delete(&self, key: &str) -> Result<()> {
        let (shared, key) = (Arc::clone(&self.shared), key.to_owned());
        run_blocking("delete", move || shared.delete(&key)).await
    }

    /// A name is taken away or given once: either the rename came first, or it finds no file.
    async fn fence_off(&self, marker: &str) -> Result<()> {
        let (shared, marker) = (Arc::clone(&self.shared), marker.to_owned());
        run_blocking("fence_off", move || {
            let removed = shared.temps.remove(&marker);
            removed.map_err(|error| on_io("fence_off", error))
        })
        .await
    }

    async fn ping(&self) -> Result<()> {
        let shared = Arc::clone(&self.shared);
        run_blocking("ping", move || {
            let opened = shared.root.open();
            opened.map(drop).map_err(|errno| on_io("ping", errno))
        })
        .await
    }

    async fn sweep(&self) -> Result<()> {
        let shared = Arc::clone(&self.shared);
        let removed = run_blocking("sweep", move || {
            shared.temps.sweep().map_err(|error| on_io("sweep", error))
        })
        .await?;
        if removed > 0 {
            tracing::info!(
                removed,
                "removed temporary files of uploads that were cut off"
            );
        }
        Ok(())
    }
}

/// Runs what may wait for a disk away from the runtime's threads. It ends even where nobody waits
/// for it any more.
async fn run_blocking<T: Send + 'static>(
    operation: &'static str,
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(BackendError::with_source(
            ErrorKind::Upstream,
            operation,
            error,
        )),
    }
}
