//! Folders and files that only the gateway's user may enter or read.
//!
//! Rights that others have on an existing one are removed, with a warning in the log. Files that others may
//! share, such as the objects of a bucket, are not handled here.

use std::io;
use std::path::Path;

#[cfg(unix)]
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};

/// Makes `folder` and the missing folders above it with the mode 0700. Restricts an existing `folder`;
/// existing folders above it stay as they are.
///
/// # Errors
/// The folder cannot be made.
pub fn create_folder(folder: &Path) -> io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    builder.mode(0o700);
    builder.create(folder)?;
    restrict(folder);
    Ok(())
}

/// Removes the rights of group and others on a folder or file. Failures (a file system without rights, a
/// file of another user) are warnings.
pub fn restrict(path: &Path) {
    #[cfg(unix)]
    match remove_group_and_other_rights(path) {
        Ok(None) => {}
        Ok(Some(mode)) => tracing::warn!(
            file.path = %path.display(),
            mode_before = format!("{mode:04o}"),
            file.mode = format!("{:04o}", mode & 0o700),
            "group or others had rights on a private path; they were removed"
        ),
        Err(error) => tracing::warn!(
            file.path = %path.display(),
            exception.message = %error,
            "a private path may be open to others: its rights cannot be changed"
        ),
    }
    #[cfg(not(unix))]
    let _ = path;
}

/// [`restrict`] for everything below `folder`.
pub fn restrict_all(folder: &Path) {
    for_all(folder, &mut |path| restrict(path));
}

/// [`restrict_all`] without warnings, for files that a library has just made.
pub fn restrict_new(folder: &Path) {
    #[cfg(unix)]
    for_all(folder, &mut |path| {
        // A failure is harmless: others cannot enter the folder.
        let _ = remove_group_and_other_rights(path);
    });
    #[cfg(not(unix))]
    let _ = folder;
}

fn for_all(folder: &Path, each: &mut dyn FnMut(&Path)) {
    // A folder that cannot be listed fails where it is used.
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => {
                each(&path);
                for_all(&path, each);
            }
            Ok(kind) if kind.is_file() => each(&path),
            // The target of a link may belong to others.
            Ok(_) | Err(_) => {}
        }
    }
}

/// Returns the earlier mode where it was too open.
#[cfg(unix)]
fn remove_group_and_other_rights(path: &Path) -> io::Result<Option<u32>> {
    let mut permissions = path.metadata()?.permissions();
    let mode = permissions.mode() & 0o7777;
    if mode & 0o077 == 0 {
        return Ok(None);
    }
    permissions.set_mode(mode & 0o700);
    std::fs::set_permissions(path, permissions)?;
    Ok(Some(mode))
}

/// Options to make a file with the mode 0600.
pub fn file_options() -> std::fs::OpenOptions {
    let mut options = std::fs::OpenOptions::new();
    #[cfg(unix)]
    options.mode(0o600);
    options
}
