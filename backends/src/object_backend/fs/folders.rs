//! The folders that objects lie in: made where they are missing, and on disk before an object in
//! them is acknowledged.

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
/// Folders that are kept in mind; past it all are forgotten, and synced once more.
const MAX_KNOWN: usize = 10_000;

/// Folders whose way from the root is known to be on disk.
///
/// That a folder is there does not say that it will be there after a power cut: whoever made it may
/// not have come to its fsync, or have died before.
#[derive(Debug, Default)]
pub struct Folders(Mutex<HashSet<Identity>>);

/// Tells a folder from an earlier one with the same number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Identity {
    device: u64,
    inode: u64,
    made_at: Option<SystemTime>,
}

impl Identity {
    fn of(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            made_at: metadata.created().ok(),
        }
    }
}

impl Folders {
    /// The folder `relative` below the root, with every folder on the way, all of them on disk.
    pub fn open_or_make(&self, root: &Root, relative: &Path) -> Result<OwnedFd, Errno> {
        let here = Path::new(".");
        if relative.as_os_str().is_empty() {
            // It was synced when the bucket was opened.
            return root.open_below(here, FOLDER);
        }
        match root.open_below(relative, FOLDER) {
            Ok(folder) => {
                let folder = File::from(folder);
                if self.knows(&folder) {
                    return Ok(folder.into());
                }
            }
            Err(Errno::NOENT) => {}
            Err(errno) => return Err(errno),
        }
        let mut folder = root.open_below(here, FOLDER)?;
        let mut so_far = PathBuf::new();
        for name in relative.components() {
            so_far.push(name);
            let below = match root.open_below(&so_far, FOLDER) {
                Err(Errno::NOENT) => {
                    match mkdirat(&folder, name.as_os_str(), Mode::from_raw_mode(0o777)) {
                        // Another upload was quicker.
                        Ok(()) | Err(Errno::EXIST) => {}
                        Err(errno) => return Err(errno),
                    }
                    root.open_below(&so_far, FOLDER)?
                }
                other => other?,
            };
            let below = File::from(below);
            if !self.knows(&below) {
                sync(&folder)?;
                self.note(&below);
            }
            folder = below.into();
        }
        Ok(folder)
    }

    fn knows(&self, folder: &File) -> bool {
        let Ok(metadata) = folder.metadata() else {
            return false;
        };
        self.0.lock().contains(&Identity::of(&metadata))
    }

    fn note(&self, folder: &File) {
        let Ok(metadata) = folder.metadata() else {
            return;
        };
        let mut known = self.0.lock();
        if known.len() >= MAX_KNOWN {
            known.clear();
        }
        known.insert(Identity::of(&metadata));
    }
}

/// Puts the names in a folder on disk, where the file system can.
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
