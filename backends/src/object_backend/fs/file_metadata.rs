//! What a file tells of itself: the identity that decides its entity tag, and its extended attributes.

use std::fs::{File, Metadata};
use std::os::unix::fs::MetadataExt;

use rustix::fs::{Stat, XattrFlags, fgetxattr, fremovexattr, fsetxattr};
use rustix::io::Errno;

/// The name that freedesktop.org's shared MIME database gives to a file's type.
const TYPE: &str = "user.mime_type";
const ENCODING: &str = "user.asset_gateway.content_encoding";
const LANGUAGE: &str = "user.asset_gateway.content_language";
const MARKER: &str = "user.asset_gateway.upload";
/// A longer value was not written by the gateway and is ignored.
const MAX_VALUE_BYTES: usize = 512;

/// Inode, size and modification time. Changes with the object: an upload always makes a new inode, and a program that writes into the
/// file changes its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct FileIdentity {
    pub inode: u64,
    pub size: u64,
    /// Nanoseconds since 1970.
    pub modified_ns: i128,
}

impl FileIdentity {
    pub fn of(metadata: &Metadata) -> Self {
        Self {
            inode: metadata.ino(),
            size: metadata.size(),
            modified_ns: i128::from(metadata.mtime()) * 1_000_000_000
                + i128::from(metadata.mtime_nsec()),
        }
    }

    pub fn of_stat(stat: &Stat) -> Self {
        Self {
            inode: stat.st_ino,
            size: u64::try_from(stat.st_size).unwrap_or_default(),
            modified_ns: i128::from(stat.st_mtime) * 1_000_000_000 + i128::from(stat.st_mtime_nsec),
        }
    }

    /// The entity tag, strong and without quotes.
    pub fn etag(self) -> String {
        format!("{:x}-{:x}-{:x}", self.modified_ns, self.size, self.inode)
    }
}

/// Content type, codings, language and marker, as extended attributes (xattr(7)).
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct Attributes {
    pub content_type: Option<String>,
    pub content_encoding: Option<String>,
    pub content_language: Option<String>,
    pub marker: Option<String>,
}

impl Attributes {
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// `None` where the file system keeps no extended attributes, or the file has none.
    pub fn read(file: &File) -> Option<Self> {
        let content_type = attribute(file, TYPE).ok()?;
        let marker = attribute(file, MARKER).ok()?;
        if content_type.is_none() && marker.is_none() {
            return None;
        }
        Some(Self {
            content_type,
            content_encoding: attribute(file, ENCODING).unwrap_or_default(),
            content_language: attribute(file, LANGUAGE).unwrap_or_default(),
            marker,
        })
    }

    /// Writes all of them or, where one does not fit, none: half of them would hide the sidecar file.
    pub fn write(&self, file: &File) -> Result<(), Errno> {
        let set = |name: &str, value: &Option<String>| match value {
            Some(value) => fsetxattr(file, name, value.as_bytes(), XattrFlags::empty()),
            None => Ok(()),
        };
        let written = set(ENCODING, &self.content_encoding)
            .and_then(|()| set(LANGUAGE, &self.content_language))
            .and_then(|()| set(MARKER, &self.marker))
            .and_then(|()| set(TYPE, &self.content_type));
        if written.is_err() {
            for name in [TYPE, ENCODING, LANGUAGE, MARKER] {
                let _ = fremovexattr(file, name);
            }
        }
        written
    }
}

/// The file system keeps no extended attributes.
struct Unsupported;

fn attribute(file: &File, name: &str) -> Result<Option<String>, Unsupported> {
    let mut value = [0_u8; MAX_VALUE_BYTES];
    match fgetxattr(file, name, &mut value) {
        // Another program may have written the value: only text that a header can carry is used.
        Ok(length) => Ok(std::str::from_utf8(&value[..length])
            .ok()
            .map(str::trim)
            .filter(|text| !text.is_empty() && !text.contains(char::is_control))
            .map(str::to_owned)),
        Err(Errno::NOTSUP | Errno::NOSYS | Errno::PERM) => Err(Unsupported),
        Err(_) => Ok(None),
    }
}
