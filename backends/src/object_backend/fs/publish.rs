//! From a temporary file to a name that readers see.

use std::path::Path;
use std::sync::Arc;

use rustix::fd::OwnedFd;
use rustix::fs::{
    AtFlags, CWD, FileType, Mode, OFlags, fstat, fsync, linkat, mkdirat, renameat, statat,
};
use rustix::io::Errno;

use super::Shared;
use super::error::on_write;
use super::path::{NO_ACCESS, Root};
use super::stamp::Stamp;
use super::temp::TempFile;
use crate::error::{BackendError, ErrorKind, Result};
use crate::object_backend::{Fence, check_fence};

const FOLDER: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::CLOEXEC);

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

/// Gives `temp`, whose bytes are on disk, its name: atomically, and on disk when it returns.
/// With `must_not_exist` a name that is taken stays as it is: `PreconditionFailed`. `fence` is asked
/// last; a writer that is stopped after that finds its file removed by whoever fenced it off.
pub fn publish(
    shared: &Shared,
    temp: TempFile,
    relative: &Path,
    must_not_exist: bool,
    fence: Option<&Arc<dyn Fence>>,
) -> Result<()> {
    let errno = |errno| on_write("put", errno);
    let Some(name) = relative.file_name() else {
        return Err(errno(Errno::ISDIR));
    };
    let folder =
        open_or_make(&shared.root, relative.parent().unwrap_or(Path::new(""))).map_err(errno)?;
    let earlier = statat(&folder, name, AtFlags::SYMLINK_NOFOLLOW).ok();
    if let Some(earlier) = &earlier
        && FileType::from_raw_mode(earlier.st_mode) == FileType::Directory
    {
        return Err(is_folder());
    }
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
        renameat(CWD, temp.path(), &folder, name).map_err(errno)?;
        temp.keep();
        if let Some(earlier) = earlier
            && earlier.st_nlink == 1
        {
            shared.beside.remove(Stamp::of_stat(&earlier));
        }
    }
    sync_folder(&folder).map_err(errno)
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

/// The folder `relative` below the root, with every folder on the way.
fn open_or_make(root: &Root, relative: &Path) -> Result<OwnedFd, Errno> {
    let here = Path::new(".");
    let wanted = if relative.as_os_str().is_empty() {
        here
    } else {
        relative
    };
    match root.open_below(wanted, FOLDER) {
        Err(Errno::NOENT) => {}
        other => return other,
    }
    let mut folder = root.open_below(here, FOLDER)?;
    let mut so_far = std::path::PathBuf::new();
    for name in relative.components() {
        so_far.push(name);
        folder = match root.open_below(&so_far, FOLDER) {
            Err(Errno::NOENT) => {
                match mkdirat(&folder, name.as_os_str(), Mode::from_raw_mode(0o777)) {
                    // Another upload was quicker.
                    Ok(()) | Err(Errno::EXIST) => {}
                    Err(errno) => return Err(errno),
                }
                sync_folder(&folder)?;
                root.open_below(&so_far, FOLDER)?
            }
            other => other?,
        };
    }
    Ok(folder)
}

/// Puts the names in a folder on disk, where the file system can.
fn sync_folder(folder: &OwnedFd) -> Result<(), Errno> {
    match fsync(folder) {
        Err(Errno::INVAL | Errno::NOTSUP) => Ok(()),
        other => other,
    }
}
