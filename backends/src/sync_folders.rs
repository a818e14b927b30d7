//! Makes the name of a folder survive a power cut.
//!
//! The name of a file is durable once its folder was synced, the name of that folder once the folder above
//! was synced, and so on (fsync(2)).

use std::fs::File;
use std::io;
use std::path::Path;

/// Syncs `folder` and every folder above it.
///
/// # Errors
/// The disk fails. A folder that the process may not open, or that its file system cannot sync, ends the
/// way up: another user made it, or it was there from the beginning.
pub fn sync_folders(folder: &Path) -> io::Result<()> {
    #[cfg(unix)]
    for folder in std::path::absolute(folder)?.ancestors() {
        match File::open(folder).and_then(|folder| folder.sync_all()) {
            Ok(()) => {}
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::PermissionDenied
                        | io::ErrorKind::InvalidInput
                        | io::ErrorKind::Unsupported
                        | io::ErrorKind::ReadOnlyFilesystem
                ) =>
            {
                break;
            }
            Err(error) => return Err(error),
        }
    }
    #[cfg(not(unix))]
    let _ = folder;
    Ok(())
}
