//! Temporary files of uploads. They lie below the root, because a rename cannot leave a file system.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// On a file system without locks, a file that was not written to for this long has no writer.
const ABANDONED_AFTER: Duration = Duration::from_secs(24 * 3600);

/// The folder of temporary files, which all processes on this root share.
///
/// A file is locked for as long as its writer lives: no other process sweeps it.
#[derive(Debug)]
pub struct TempFolder {
    path: PathBuf,
    /// Tells apart processes with the same id, on other hosts or before a restart.
    instance: uuid::Uuid,
    next: AtomicU64,
}

/// A temporary file. Its drop removes the name, unless the file was [kept](Self::keep).
#[derive(Debug)]
pub struct TempFile {
    pub file: Arc<File>,
    path: PathBuf,
    kept: bool,
}

impl TempFolder {
    pub fn new(path: PathBuf) -> Self {
        Self {
            path,
            instance: uuid::Uuid::new_v4(),
            next: AtomicU64::new(0),
        }
    }

    /// Makes an empty, locked file. With a `marker` it has the name that [`remove`](Self::remove)
    /// looks for.
    pub fn create(&self, marker: Option<&str>) -> io::Result<TempFile> {
        let mut marked = marker.and_then(|marker| self.marked(marker));
        loop {
            let path = marked.clone().unwrap_or_else(|| {
                self.path.join(format!(
                    "{}-{}-{}.part",
                    std::process::id(),
                    self.instance.simple(),
                    self.next.fetch_add(1, Ordering::Relaxed)
                ))
            });
            let mut options = OpenOptions::new();
            let options = options.read(true).write(true).create_new(true);
            let file = match options.open(&path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    // Other users may share the root, but not the gateway's own folder.
                    if let Some(root) = self.path.ancestors().nth(2) {
                        fs::create_dir_all(root)?;
                    }
                    crate::private_files::create_folder(&self.path)?;
                    options.open(&path)?
                }
                // Another upload has the same marker.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    marked = None;
                    continue;
                }
                other => other?,
            };
            let temp = TempFile {
                file: Arc::new(file),
                path,
                kept: false,
            };
            // Without locks the sweep goes by age.
            let _ = temp.file.lock();
            // A sweep may have removed the file before it was locked.
            if temp.file.metadata()?.nlink() > 0 {
                return Ok(temp);
            }
        }
    }

    /// Removes the file of the upload with this marker, so that its writer cannot rename it any more.
    pub fn remove(&self, marker: &str) -> io::Result<()> {
        let Some(path) = self.marked(marker) else {
            return Ok(());
        };
        match fs::remove_file(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other,
        }
    }

    /// `None` where the marker is none of the gateway's.
    fn marked(&self, marker: &str) -> Option<PathBuf> {
        let is_ours = (1..=64).contains(&marker.len())
            && marker.bytes().all(|byte| byte.is_ascii_alphanumeric());
        is_ours.then(|| self.path.join(format!("upload-{marker}.part")))
    }

    /// Removes the files whose writers are gone. Returns how many.
    pub fn sweep(&self) -> io::Result<u64> {
        let entries = match fs::read_dir(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
            other => other?,
        };
        let mut removed = 0;
        for entry in entries {
            let path = entry?.path();
            // A file that vanishes was swept by another process.
            if path
                .extension()
                .is_some_and(|extension| extension == "part")
                && let Ok(Some(_locked)) = lock_abandoned(&path)
                && fs::remove_file(&path).is_ok()
            {
                removed += 1;
            }
        }
        Ok(removed)
    }
}

/// Opens the file and locks it, where its writer is gone. A writer that has just made the file waits for
/// the lock, and then finds the file removed.
fn lock_abandoned(path: &Path) -> io::Result<Option<File>> {
    let file = OpenOptions::new().read(true).write(true).open(path)?;
    let is_abandoned = match file.try_lock() {
        Ok(()) => true,
        Err(TryLockError::WouldBlock) => false,
        Err(TryLockError::Error(_)) => {
            let age = file.metadata()?.modified()?.elapsed();
            age.is_ok_and(|age| age > ABANDONED_AFTER)
        }
    };
    Ok(is_abandoned.then_some(file))
}

impl TempFile {
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The file was renamed to the object: no name is left to remove.
    pub fn keep(mut self) {
        self.kept = true;
    }
}

impl Drop for TempFile {
    fn drop(&mut self) {
        if !self.kept {
            let _ = fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Without the lock the file could be removed after its writer has found it in place.
    #[test]
    fn an_abandoned_file_is_locked_until_it_is_swept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("1-2-3.part");
        // As `create` leaves it before it takes the lock.
        let made = File::create(&path).unwrap();
        let sweeping = lock_abandoned(&path).unwrap();
        assert!(sweeping.is_some());
        assert!(matches!(made.try_lock(), Err(TryLockError::WouldBlock)));
        drop(sweeping);
        made.lock().unwrap();
        assert!(lock_abandoned(&path).unwrap().is_none());
    }
}
