//! From a temporary file to a name that readers see.

use std::path::Path;
use std::sync::Arc;

use rustix::fd::OwnedFd;
use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, fstat, linkat, openat, renameat, statat};
use rustix::io::Errno;

use super::error::on_write;
use super::file_identity::Stamp;
use super::path::{NO_ACCESS, Root};
use super::sidecar::Beside;
use super::temp_file::TempFile;
use super::{Shared, folders};
use crate::error::{BackendError, ErrorKind, Result};
use crate::object_backend::{Fence, check_fence};

/// Refuses early what [`publish`] would refuse after the whole body.
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

/// An object that readers see. Its name is on disk once it was [synced](Self::sync).
#[must_use]
pub struct Published {
    folder: OwnedFd,
    /// What had the name before.
    replaced: Option<Replaced>,
}

/// A file without a name. It is held open until that is on disk: no other file gets its number, and
/// with it its sidecar file, before that.
struct Replaced {
    stamp: Stamp,
    _held: Option<OwnedFd>,
}

/// Gives `temp`, whose bytes are on disk, its name, atomically. With `must_not_exist` a name that is
/// taken stays as it is: `PreconditionFailed`. After an error nothing has become visible. `fence` is
/// asked last; a writer that is stopped after that finds its file removed by whoever fenced it off.
pub fn publish(
    shared: &Shared,
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
    let folder = shared
        .folders
        .open_or_make(&shared.root, parent)
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
            // No hard links here.
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
                stamp: Stamp::of_stat(&earlier),
                _held: openat(&folder, name, NO_ACCESS | OFlags::NOFOLLOW, Mode::empty()).ok(),
            });
        renameat(CWD, temp.path(), &folder, name).map_err(errno)?;
        temp.keep();
    }
    Ok(Published { folder, replaced })
}

impl Published {
    /// Puts the name on disk. Only then the attributes of what it has replaced are forgotten: after a
    /// power cut before that, the earlier object is there again.
    pub fn sync(self, beside: &Beside) -> Result<()> {
        folders::sync(&self.folder).map_err(|errno| on_write("put", errno))?;
        if let Some(replaced) = self.replaced {
            beside.remove(replaced.stamp);
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
