//! Folders and files that nobody but the gateway's own user may enter or read.
//!
//! Where they exist with more rights than that, the rest is taken away, with a line in the log. What
//! others may share, such as the objects of a bucket, does not come here.

use std::io;
use std::path::Path;

#[cfg(unix)]
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};

/// Makes `folder`, and every folder on the way, with the mode 0700, or takes from an existing one
/// what others may do there. Folders on the way that exist stay as they are.
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

/// Takes from an existing folder or file what others than its owner may do with it. A file system
/// that keeps no rights, or a file of another user, is a warning.
pub fn restrict(path: &Path) {
    #[cfg(unix)]
    match remove_group_and_other_rights(path) {
        Ok(None) => {}
        Ok(Some(mode)) => tracing::warn!(
            file.path = %path.display(),
            mode_before = format!("{mode:04o}"),
            file.mode = format!("{:04o}", mode & 0o700),
            "others had rights to what is private: taken away"
        ),
        Err(error) => tracing::warn!(
            file.path = %path.display(),
            exception.message = %error,
            "what is private may be open to others: its rights cannot be changed"
        ),
    }
    #[cfg(not(unix))]
    let _ = path;
}

/// [`restrict`] for everything in `folder` and below.
pub fn restrict_all(folder: &Path) {
    for_all(folder, &mut |path| restrict(path));
}

/// The same without a word, for what was made just now by code that knows no modes.
pub fn restrict_new(folder: &Path) {
    #[cfg(unix)]
    for_all(folder, &mut |path| {
        // Nobody else gets through the folder.
        let _ = remove_group_and_other_rights(path);
    });
    #[cfg(not(unix))]
    let _ = folder;
}

fn for_all(folder: &Path, each: &mut dyn FnMut(&Path)) {
    // What cannot be listed is said where it is used.
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => {
                each(&path);
                for_all(&path, each);
            }
            Ok(kind) if kind.is_file() => each(&path),
            // A link's target may be anybody's.
            Ok(_) | Err(_) => {}
        }
    }
}

/// The mode that was too open, where there was one.
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

/// Options that make a file with the mode 0600.
pub fn file_options() -> std::fs::OpenOptions {
    let mut options = std::fs::OpenOptions::new();
    #[cfg(unix)]
    options.mode(0o600);
    options
}
