//! The folders that hold objects: made where they are missing, and durable before an object in them is
//! acknowledged.

use std::collections::HashSet;
use std::fs::{File, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use parking_lot::Mutex;
use rustix::fd::OwnedFd;
use rustix::fs::{CWD, Mode, OFlags, fsync, mkdirat, openat};
use rustix::io::Errno;

use super::path::Root;

const FOLDER: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::CLOEXEC);
/// Past this number all folders are forgotten, and synced once more.
const MAX_DURABLE_FOLDERS: usize = 10_000;

/// The folders whose path from the root is known to be on disk.
///
/// A folder that exists may be gone after a power cut: the upload that made it may not have reached
/// its fsync, or its process may have died before.
#[derive(Debug, Default)]
pub struct Folders(Mutex<HashSet<FolderIdentity>>);

/// Tells a folder from an earlier one with the same inode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct FolderIdentity {
    device: u64,
    inode: u64,
    made_at: Option<SystemTime>,
}

impl FolderIdentity {
    fn of(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            made_at: metadata.created().ok(),
        }
    }
}

impl Folders {
    /// Opens the folder `relative` below the root. It and every folder above it are on disk then.
    pub fn open_or_make(&self, root: &Root, relative: &Path) -> Result<OwnedFd, Errno> {
        let here = Path::new(".");
        if relative.as_os_str().is_empty() {
            // The root was synced when the bucket was opened.
            return root.open_below(here, FOLDER);
        }
        match root.open_below(relative, FOLDER) {
            Ok(folder) => {
                let folder = File::from(folder);
                if self.is_durable(&folder) {
                    return Ok(folder.into());
                }
            }
            Err(Errno::NOENT) => {}
            Err(errno) => return Err(errno),
        }
        let mut folder = root.open_below(here, FOLDER)?;
        let mut path = PathBuf::new();
        for name in relative.components() {
            path.push(name);
            let below = match root.open_below(&path, FOLDER) {
                Err(Errno::NOENT) => {
                    match mkdirat(&folder, name.as_os_str(), Mode::from_raw_mode(0o777)) {
                        // EXIST: another upload was quicker.
                        Ok(()) | Err(Errno::EXIST) => {}
                        Err(errno) => return Err(errno),
                    }
                    root.open_below(&path, FOLDER)?
                }
                other => other?,
            };
            let below = File::from(below);
            if !self.is_durable(&below) {
                sync(&folder)?;
                self.add(&below);
            }
            folder = below.into();
        }
        Ok(folder)
    }

    fn is_durable(&self, folder: &File) -> bool {
        let Ok(metadata) = folder.metadata() else {
            return false;
        };
        self.0.lock().contains(&FolderIdentity::of(&metadata))
    }

    fn add(&self, folder: &File) {
        let Ok(metadata) = folder.metadata() else {
            return;
        };
        let mut known = self.0.lock();
        if known.len() >= MAX_DURABLE_FOLDERS {
            known.clear();
        }
        known.insert(FolderIdentity::of(&metadata));
    }
}

/// Makes the names in a folder durable, where the file system can.
pub fn sync(folder: &OwnedFd) -> Result<(), Errno> {
    match fsync(folder) {
        Err(Errno::INVAL | Errno::NOTSUP) => Ok(()),
        other => other,
    }
}

/// [`sync`] of the folder at `path`.
pub fn sync_at(path: &Path) -> Result<(), Errno> {
    sync(&openat(CWD, path, FOLDER, Mode::empty())?)
}
