//! Type, codings, language and marker of a file: in its extended attributes, or beside where the
//! file system has none.

use std::fs::File;
use std::path::Path;

use rustix::fs::{XattrFlags, fgetxattr, fremovexattr, fsetxattr};
use rustix::io::Errno;

use super::file_identity::Stamp;
use super::sidecar::Beside;

/// The name that freedesktop.org's shared MIME database gives it.
const TYPE: &str = "user.mime_type";
const ENCODING: &str = "user.asset_gateway.content_encoding";
const LANGUAGE: &str = "user.asset_gateway.content_language";
const MARKER: &str = "user.asset_gateway.upload";
/// Bytes of a value that we read; longer ones are not ours.
const MAX_VALUE: usize = 512;

/// What is kept with a file.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct Attributes {
    pub content_type: Option<String>,
    pub content_encoding: Option<String>,
    pub content_language: Option<String>,
    pub marker: Option<String>,
}

impl Attributes {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// What was written with the file, or what its name says.
    pub fn read(file: &File, stamp: Stamp, beside: &Beside, relative: &Path) -> Self {
        let content_type = attribute(file, TYPE);
        let marker = attribute(file, MARKER);
        let mut found = match (content_type, marker) {
            (Err(Unsupported), _) | (_, Err(Unsupported)) | (Ok(None), Ok(None)) => {
                beside.read(stamp).unwrap_or_default()
            }
            (Ok(content_type), Ok(marker)) => Self {
                content_type,
                content_encoding: attribute(file, ENCODING).unwrap_or_default(),
                content_language: attribute(file, LANGUAGE).unwrap_or_default(),
                marker,
            },
        };
        if found.content_type.is_none() {
            found.content_type = mime_guess::from_path(relative)
                .first_raw()
                .map(str::to_owned);
        }
        found
    }

    /// Keeps them with a file that is not visible yet and does not change any more.
    pub fn write(&self, file: &File, stamp: Stamp, beside: &Beside) -> Result<(), std::io::Error> {
        if self.is_empty() {
            return Ok(());
        }
        let set = |name: &str, value: &Option<String>| match value {
            Some(value) => fsetxattr(file, name, value.as_bytes(), XattrFlags::empty()),
            None => Ok(()),
        };
        let written = if beside.only() {
            Err(Errno::NOTSUP)
        } else {
            set(ENCODING, &self.content_encoding)
                .and_then(|()| set(LANGUAGE, &self.content_language))
                .and_then(|()| set(MARKER, &self.marker))
                .and_then(|()| set(TYPE, &self.content_type))
        };
        match written {
            Ok(()) => Ok(()),
            // Unknown to the file system, or no room for it there. Half of them would hide the rest.
            Err(_) => {
                for name in [TYPE, ENCODING, LANGUAGE, MARKER] {
                    let _ = fremovexattr(file, name);
                }
                beside.write(stamp, self)
            }
        }
    }
}

/// The file system keeps no attributes.
struct Unsupported;

fn attribute(file: &File, name: &str) -> Result<Option<String>, Unsupported> {
    let mut value = [0_u8; MAX_VALUE];
    match fgetxattr(file, name, &mut value) {
        // Others may have written it: nothing that is no header value gets out.
        Ok(length) => Ok(std::str::from_utf8(&value[..length])
            .ok()
            .map(str::trim)
            .filter(|text| !text.is_empty() && !text.contains(char::is_control))
            .map(str::to_owned)),
        Err(Errno::NOTSUP | Errno::NOSYS | Errno::PERM) => Err(Unsupported),
        Err(_) => Ok(None),
    }
}
