//! Files under way: below the root, because a rename cannot leave a file system.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Where locks do not work, a file that nobody wrote to for so long has no writer.
const ABANDONED: Duration = Duration::from_secs(24 * 3600);

/// The folder of one process' temporary files, shared with every other process on this root.
///
/// A file is locked as long as its writer lives, so that no other process sweeps it.
#[derive(Debug)]
pub struct TempFolder {
    path: PathBuf,
    /// Tells processes with the same id on different hosts, or after a restart, apart.
    instance: uuid::Uuid,
    next: AtomicU64,
}

/// A temporary file; its name goes with it unless it was [kept](Self::keep).
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

    /// A new, locked, empty file; of an upload with a `marker` it has the name that
    /// [`remove`](Self::remove) looks for.
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
                    // The root may be shared with others, what is ours is not.
                    if let Some(root) = self.path.ancestors().nth(2) {
                        fs::create_dir_all(root)?;
                    }
                    crate::private_files::create_folder(&self.path)?;
                    options.open(&path)?
                }
                // A marker that is not one upload's own.
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
            // A file system without locks goes by age.
            let _ = temp.file.lock();
            // A sweeper may have been quicker than the lock.
            if temp.file.metadata()?.nlink() > 0 {
                return Ok(temp);
            }
        }
    }

    /// Removes the file of the upload with this marker: whoever writes it cannot rename it any more.
    pub fn remove(&self, marker: &str) -> io::Result<()> {
        let Some(path) = self.marked(marker) else {
            return Ok(());
        };
        match fs::remove_file(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other,
        }
    }

    /// `None`: no marker of ours.
    fn marked(&self, marker: &str) -> Option<PathBuf> {
        let is_word = (1..=64).contains(&marker.len())
            && marker.bytes().all(|byte| byte.is_ascii_alphanumeric());
        is_word.then(|| self.path.join(format!("upload-{marker}.part")))
    }

    /// Removes the files whose writers are gone; says how many.
    pub fn sweep(&self) -> io::Result<u64> {
        let entries = match fs::read_dir(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
            other => other?,
        };
        let mut removed = 0;
        for entry in entries {
            let path = entry?.path();
            // Whatever vanishes under our hands has been swept by another process.
            if path
                .extension()
                .is_some_and(|extension| extension == "part")
                && let Ok(Some(_locked)) = abandoned(&path)
                && fs::remove_file(&path).is_ok()
            {
                removed += 1;
            }
        }
        Ok(removed)
    }
}

/// The file, if its writer is gone; locked, so that one who has just made it waits until it is removed
/// and sees that.
fn abandoned(path: &Path) -> io::Result<Option<File>> {
    let file = OpenOptions::new().read(true).write(true).open(path)?;
    let is_abandoned = match file.try_lock() {
        Ok(()) => true,
        Err(TryLockError::WouldBlock) => false,
        Err(TryLockError::Error(_)) => {
            let age = file.metadata()?.modified()?.elapsed();
            age.is_ok_and(|age| age > ABANDONED)
        }
    };
    Ok(is_abandoned.then_some(file))
}

impl TempFile {
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The name has become the object's: nothing is left to remove.
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

    /// Else it could be removed after its writer has seen that it is still there.
    #[test]
    fn a_file_is_locked_until_it_is_swept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("1-2-3.part");
        // Just made, not locked yet.
        let made = File::create(&path).unwrap();
        let sweeping = abandoned(&path).unwrap();
        assert!(sweeping.is_some());
        assert!(matches!(made.try_lock(), Err(TryLockError::WouldBlock)));
        drop(sweeping);
        made.lock().unwrap();
        assert!(abandoned(&path).unwrap().is_none());
    }
}
