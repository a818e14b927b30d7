//! Names that survive a power cut.
//!
//! A file's name is on disk when its folder was synced, whose own name is on disk when the folder
//! above was synced, and so on (fsync(2)).

use std::fs::File;
use std::io;
use std::path::Path;

/// Puts the names in `folder`, and those of the folders on the way to it, on disk.
///
/// # Errors
/// The disk refuses. Where the process may not look, or the file system cannot sync folders, the
/// names are somebody else's or there from the beginning.
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
