//! Where the attributes of a file are kept: with the file, or in a sidecar file.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use super::attributes::Attributes;
use super::file_identity::FileIdentity;
use super::sidecar::Sidecars;

/// Prefers extended attributes; falls back to sidecar files where the file system has none, or no
/// space for them.
#[derive(Debug)]
pub struct AttributeStore {
    sidecars: Sidecars,
    /// Never writes extended attributes.
    only_sidecars: bool,
}

impl AttributeStore {
    /// Keeps sidecar files in `folder`.
    pub fn new(folder: PathBuf, only_sidecars: bool) -> Self {
        Self {
            sidecars: Sidecars::new(folder),
            only_sidecars,
        }
    }

    /// The attributes that were written with the file. A missing content type is guessed from the
    /// name.
    pub fn read(&self, file: &File, identity: FileIdentity, relative: &Path) -> Attributes {
        let mut found = Attributes::read(file)
            .or_else(|| self.sidecars.read(identity))
            .unwrap_or_default();
        if found.content_type.is_none() {
            let guessed = mime_guess::from_path(relative).first_raw();
            found.content_type = guessed.map(str::to_owned);
        }
        found
    }

    /// Writes the attributes of a file that is not visible yet and does not change any more.
    pub fn write(
        &self,
        file: &File,
        identity: FileIdentity,
        attributes: &Attributes,
    ) -> io::Result<()> {
        let written = !self.only_sidecars && attributes.write(file).is_ok();
        match written || attributes.is_empty() {
            true => Ok(()),
            false => self.sidecars.write(identity, attributes),
        }
    }

    /// See [`Sidecars::remove`].
    pub fn remove(&self, identity: FileIdentity) {
        self.sidecars.remove(identity);
    }
}
