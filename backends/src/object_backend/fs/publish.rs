//! Publishing: gives a temporary file the name under which readers find the object.

use std::path::Path;
use std::sync::Arc;

use rustix::fd::OwnedFd;
use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, fstat, linkat, openat, renameat, statat};
use rustix::io::Errno;

use super::Bucket;
use super::attribute_store::AttributeStore;
use super::error::on_write;
use super::file_metadata::FileIdentity;
use super::folders;
use super::path::{NO_ACCESS, Root};
use super::temp_file::TempFile;
use crate::error::{BackendError, ErrorKind, Result};
use crate::object_backend::Fence;
use crate::object_backend::upload::check_fence;

/// Refuses before the body what [`publish`] would refuse after it.
pub fn check_target(root: &Root, relative: &Path, must_not_exist: bool) -> Result<()> {
    let found = match root.open_below(relative, NO_ACCESS) {
        Err(Errno::NOENT) => return Ok(()),
        other => other.map_err(|errno| on_write("put", errno))?,
    };
    let stat = fstat(&found).map_err(|errno| on_write("put", errno))?;
    if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
        return Err(is_folder());
    }
    if must_not_exist {
        return Err(BackendError::new(ErrorKind::PreconditionFailed, "put"));
    }
    Ok(())
}

fn is_folder() -> BackendError {
    BackendError::with_source(
        ErrorKind::InvalidKey,
        "put",
        "there is a folder of that name",
    )
}

/// A visible object. Its name is durable after [`sync`](Self::sync).
#[must_use]
pub struct Published {
    folder: OwnedFd,
    /// The file that had the name before.
    replaced: Option<Replaced>,
}

/// A file that lost its name. It stays open until the loss is durable, so that no other file gets its
/// inode, and with it its sidecar file, before that.
struct Replaced {
    identity: FileIdentity,
    _open: Option<OwnedFd>,
}

/// Gives `temp`, whose bytes are durable, its name, atomically. With `must_not_exist` a taken name stays
/// as it is: `PreconditionFailed`. After an error nothing has become visible. The fence is checked
/// last; a writer that is stopped after the check finds its file removed by the recovery.
pub fn publish(
    bucket: &Bucket,
    temp: TempFile,
    relative: &Path,
    must_not_exist: bool,
    fence: Option<&Arc<dyn Fence>>,
) -> Result<Published> {
    let errno = |errno| on_write("put", errno);
    let Some(name) = relative.file_name() else {
        return Err(errno(Errno::ISDIR));
    };
    let parent = relative.parent().unwrap_or(Path::new(""));
    let folder = bucket
        .folders
        .open_or_make(&bucket.root, parent)
        .map_err(errno)?;
    let earlier = statat(&folder, name, AtFlags::SYMLINK_NOFOLLOW).ok();
    if let Some(earlier) = &earlier
        && FileType::from_raw_mode(earlier.st_mode) == FileType::Directory
    {
        return Err(is_folder());
    }
    let mut replaced = None;
    check_fence(fence)?;
    if must_not_exist {
        match linkat(CWD, temp.path(), &folder, name, AtFlags::empty()) {
            // The file system has no hard links.
            Err(Errno::PERM | Errno::NOTSUP | Errno::NOSYS | Errno::MLINK) => {
                rename_exclusively(&temp, &folder, name).map_err(errno)?;
                temp.keep();
            }
            other => {
                other.map_err(errno)?;
                drop(temp);
            }
        }
    } else {
        replaced = earlier
            .filter(|earlier| earlier.st_nlink == 1)
            .map(|earlier| Replaced {
                identity: FileIdentity::of_stat(&earlier),
                _open: openat(&folder, name, NO_ACCESS | OFlags::NOFOLLOW, Mode::empty()).ok(),
            });
        renameat(CWD, temp.path(), &folder, name).map_err(errno)?;
        temp.keep();
    }
    Ok(Published { folder, replaced })
}

impl Published {
    /// Makes the name durable, and only then removes the attributes of the replaced file: a power cut
    /// before that brings the earlier object back.
    pub fn sync(self, attributes: &AttributeStore) -> Result<()> {
        folders::sync(&self.folder).map_err(|errno| on_write("put", errno))?;
        if let Some(replaced) = self.replaced {
            attributes.remove(replaced.identity);
        }
        Ok(())
    }
}

#[cfg(target_os = "linux")]
fn rename_exclusively(
    temp: &TempFile,
    folder: &OwnedFd,
    name: &std::ffi::OsStr,
) -> Result<(), Errno> {
    use rustix::fs::{RenameFlags, renameat_with};
    renameat_with(CWD, temp.path(), folder, name, RenameFlags::NOREPLACE)
}

#[cfg(not(target_os = "linux"))]
fn rename_exclusively(_: &TempFile, _: &OwnedFd, _: &std::ffi::OsStr) -> Result<(), Errno> {
    Err(Errno::NOTSUP)
}
