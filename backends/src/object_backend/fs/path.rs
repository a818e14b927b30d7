//! Keys to paths that cannot leave the root of a bucket.

use std::path::{Path, PathBuf};

use rustix::fd::OwnedFd;
use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::Errno;

use crate::error::{BackendError, ErrorKind};
use crate::reserved_keys;

/// The gateway's folder at the root: temporary files and sidecar files.
pub const OWN_FOLDER: &str = reserved_keys::OWN_PREFIX;

/// Opens anything, only to look at its metadata.
#[cfg(target_os = "linux")]
pub const NO_ACCESS: OFlags = OFlags::PATH.union(OFlags::CLOEXEC);
#[cfg(not(target_os = "linux"))]
pub const NO_ACCESS: OFlags = OFlags::RDONLY
    .union(OFlags::NONBLOCK)
    .union(OFlags::CLOEXEC);

/// `NAME_MAX` of every common file system.
const MAX_NAME_BYTES: usize = 255;

/// The key as a path relative to the root.
///
/// `InvalidKey` where no file can have that name, or where the path may lie below [`OWN_FOLDER`].
pub fn relative<'k>(operation: &'static str, key: &'k str) -> Result<&'k Path, BackendError> {
    let invalid = |why: &'static str| {
        Err(BackendError::with_source(
            ErrorKind::InvalidKey,
            operation,
            why,
        ))
    };
    if key.contains('\0') {
        return invalid("a NUL");
    }
    if reserved_keys::is_internal(key) {
        return invalid("the gateway's own folder");
    }
    for name in key.split('/') {
        match name {
            "" => return invalid("an empty segment"),
            "." | ".." => return invalid("a relative segment"),
            name if name.len() > MAX_NAME_BYTES => {
                return invalid("a segment of more than 255 bytes");
            }
            _ => {}
        }
    }
    Ok(Path::new(key))
}

/// The folder of a bucket. Each operation opens it anew, and so finds a root that was removed and made
/// again, or mounted over.
#[derive(Debug)]
pub struct Root {
    path: PathBuf,
}

impl Root {
    pub fn new(path: PathBuf) -> Self {
        Self { path }
    }

    /// A handle that paths can be opened below.
    pub fn open(&self) -> Result<OwnedFd, Errno> {
        let flags = NO_ACCESS | OFlags::DIRECTORY;
        openat(CWD, &self.path, flags, Mode::empty())
    }

    /// Opens what lies at `relative`. Follows links that stay below the root; `XDEV` where one leaves
    /// it.
    pub fn open_below(&self, relative: &Path, flags: OFlags) -> Result<OwnedFd, Errno> {
        let root = self.open()?;
        match open_beneath(&root, relative, flags) {
            // The kernel refuses every absolute link, also one that leads back below the root.
            Err(Errno::XDEV) => {
                let below = self.resolved(relative)?;
                open_beneath(&root, &below, flags)
            }
            // A kernel or a sandbox without openat2: resolve first, then open. A process that can swap
            // a folder for a link in between can read the files anyway.
            Err(Errno::NOSYS | Errno::PERM) => {
                let below = self.resolved(relative)?;
                openat(&root, &below, flags | OFlags::NOFOLLOW, Mode::empty())
            }
            other => other,
        }
    }

    /// [`open_below`](Self::open_below) without waiting: the kernel has every name of the path in
    /// memory, and the root lies on a disk of this machine. `None` says nothing about the object.
    #[cfg(target_os = "linux")]
    pub fn open_cached(&self, relative: &Path, flags: OFlags) -> Option<OwnedFd> {
        use rustix::fs::{ResolveFlags, fstatfs, openat2};

        let none = Mode::empty();
        let folder = NO_ACCESS | OFlags::DIRECTORY;
        let root = openat2(CWD, &self.path, folder, none, ResolveFlags::CACHED).ok()?;
        // A network file system asks its server at each open, whatever names are in memory.
        if !is_local(fstatfs(&root).ok()?.f_type as u32) {
            return None;
        }
        let resolve = ResolveFlags::BENEATH
            | ResolveFlags::NO_MAGICLINKS
            | ResolveFlags::NO_XDEV
            | ResolveFlags::CACHED;
        openat2(&root, relative, flags, none, resolve).ok()
    }

    #[cfg(not(target_os = "linux"))]
    pub fn open_cached(&self, _: &Path, _: OFlags) -> Option<OwnedFd> {
        None
    }

    /// `relative` with all links resolved, relative to the root; `XDEV` where it lies outside.
    fn resolved(&self, relative: &Path) -> Result<PathBuf, Errno> {
        let errno = |error: std::io::Error| {
            error
                .raw_os_error()
                .map_or(Errno::IO, Errno::from_raw_os_error)
        };
        let root = self.path.canonicalize().map_err(errno)?;
        let target = root.join(relative).canonicalize().map_err(errno)?;
        match target.strip_prefix(&root) {
            // `relative` is the root itself.
            Ok(below) if below.as_os_str().is_empty() => Ok(PathBuf::from(".")),
            Ok(below) => Ok(below.to_owned()),
            Err(_) => Err(Errno::XDEV),
        }
    }
}

/// Whether a file system of this type (`linux/magic.h`) keeps its files on this machine.
#[cfg(target_os = "linux")]
fn is_local(file_system: u32) -> bool {
    const BCACHEFS: u32 = 0xca45_1a4e;
    const BTRFS: u32 = 0x9123_683e;
    const EXT: u32 = 0xef53;
    const F2FS: u32 = 0xf2f5_2010;
    const OVERLAYFS: u32 = 0x794c_7630;
    const TMPFS: u32 = 0x0102_1994;
    const XFS: u32 = 0x5846_5342;
    const ZFS: u32 = 0x2fc1_2fc1;
    matches!(
        file_system,
        BCACHEFS | BTRFS | EXT | F2FS | OVERLAYFS | TMPFS | XFS | ZFS
    )
}

#[cfg(target_os = "linux")]
fn open_beneath(root: &OwnedFd, relative: &Path, flags: OFlags) -> Result<OwnedFd, Errno> {
    use rustix::fs::{ResolveFlags, openat2};

    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    loop {
        match openat2(root, relative, flags, Mode::empty(), resolve) {
            // A name changed while the kernel resolved the path.
            Err(Errno::AGAIN) => continue,
            other => return other,
        }
    }
}

#[cfg(not(target_os = "linux"))]
fn open_beneath(_: &OwnedFd, _: &Path, _: OFlags) -> Result<OwnedFd, Errno> {
    Err(Errno::NOSYS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_cannot_be_files_are_refused() {
        let long = "n".repeat(256);
        for key in [
            "",
            "/",
            "a/",
            "/a",
            "a//b",
            ".",
            "..",
            "a/../b",
            "a/./b",
            "a\0b",
            &long,
            ".asset-gateway",
            ".asset-gateway/tmp/x",
            ".Asset-Gateway/types/x",
        ] {
            let error = relative("test", key).expect_err(key);
            assert_eq!(error.kind, ErrorKind::InvalidKey, "{key}");
        }
    }

    #[test]
    fn other_keys_become_paths_unchanged() {
        let long = "n".repeat(255);
        for key in [
            "a",
            "a/b",
            "...",
            " a ",
            "a\\b",
            "x/.asset-gateway",
            "%2e%2e/a",
            &long,
        ] {
            assert_eq!(relative("test", key).expect(key), Path::new(key));
        }
    }
}
