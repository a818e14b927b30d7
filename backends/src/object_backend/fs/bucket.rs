//! Objects of a bucket on disk: open, read, delete. Every call may block.

use std::fs::File;
use std::ops::Range;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, openat, statat, unlinkat};
use rustix::io::Errno;

use super::attribute_store::AttributeStore;
use super::body;
use super::error::{on_io, on_read};
use super::file_metadata::FileIdentity;
use super::folders::{self, Folders};
use super::path::{NO_ACCESS, OWN_FOLDER, Root, relative};
use super::temp_file::TempFolder;
use crate::error::{BackendError, ErrorKind, Result};
use crate::object_backend::conditions::evaluate;
use crate::object_backend::{ByteRange, GetOptions, GetResult, ObjectMeta};
use crate::private_files;
use crate::sync_folders::sync_folders;

/// What uploads and blocking threads share.
pub struct Bucket {
    pub root: Root,
    pub folders: Folders,
    pub temps: TempFolder,
    pub attributes: AttributeStore,
}

impl Bucket {
    /// Makes the folder where it is missing, durably.
    pub fn open(root: PathBuf, only_sidecars: bool) -> std::io::Result<Self> {
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

    pub fn head(&self, key: &str, options: &GetOptions) -> Result<ObjectMeta> {
        let opened = self.open_object("head", key)?;
        evaluate(&options.conditions, &opened.meta)
            .map_err(|kind| BackendError::new(kind, "head"))?;
        Ok(opened.meta)
    }

    pub fn get(&self, key: &str, options: &GetOptions) -> Result<GetResult> {
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
    pub fn get_cached(&self, key: &str, options: &GetOptions) -> Option<GetResult> {
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

    pub fn delete(&self, key: &str) -> Result<()> {
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
