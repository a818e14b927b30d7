//! Where the attributes of a file are kept: in its extended attributes, or in a sidecar file.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::file_metadata::{Attributes, FileIdentity};
use super::folders;
use crate::private_files;
use crate::sync_folders::sync_folders;

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

/// A folder with one small file for each inode.
///
/// A sidecar file names the identity of its object, so that a file which another program put or
/// changed there does not get the attributes of the file before it.
#[derive(Debug)]
struct Sidecars {
    folder: PathBuf,
}

#[derive(serde::Serialize, serde::Deserialize)]
struct Sidecar {
    #[serde(rename = "stamp")]
    identity: FileIdentity,
    #[serde(flatten)]
    attributes: Attributes,
}

impl Sidecars {
    fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    fn read(&self, identity: FileIdentity) -> Option<Attributes> {
        let sidecar = self.sidecar(identity.inode)?;
        (sidecar.identity == identity).then_some(sidecar.attributes)
    }

    fn sidecar(&self, inode: u64) -> Option<Sidecar> {
        let text = fs::read(self.path(inode)).ok()?;
        serde_json::from_slice(&text).ok()
    }

    /// Durable when it returns.
    fn write(&self, identity: FileIdentity, attributes: &Attributes) -> io::Result<()> {
        if !self.folder.exists() {
            private_files::create_folder(&self.folder)?;
            sync_folders(&self.folder)?;
        }
        let sidecar = Sidecar {
            identity,
            attributes: attributes.clone(),
        };
        // The inode is a temporary file's, which has no reader yet: the write need not be atomic.
        let mut options = private_files::file_options();
        let options = options.write(true).create(true).truncate(true);
        let mut file = options.open(self.path(identity.inode))?;
        file.write_all(&serde_json::to_vec(&sidecar)?)?;
        file.sync_all()?;
        Ok(folders::sync_at(&self.folder)?)
    }

    /// Removes the sidecar of a file that is no object any more. A sidecar of a later file with the
    /// same inode stays.
    fn remove(&self, identity: FileIdentity) {
        if let Some(sidecar) = self.sidecar(identity.inode)
            && sidecar.identity.modified_ns <= identity.modified_ns
        {
            let _ = fs::remove_file(self.path(identity.inode));
        }
    }

    fn path(&self, inode: u64) -> PathBuf {
        self.folder.join(format!("{inode:x}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reused_inode_keeps_the_attributes_of_the_later_file() {
        let folder = tempfile::tempdir().unwrap();
        let sidecars = Sidecars::new(folder.path().to_owned());
        let earlier = FileIdentity {
            inode: 7,
            size: 1,
            modified_ns: 1,
        };
        let later = FileIdentity {
            modified_ns: 2,
            ..earlier
        };
        let attributes = Attributes::default();
        sidecars.write(later, &attributes).unwrap();
        sidecars.remove(earlier);
        assert!(sidecars.read(later).is_some());
        sidecars.remove(later);
        assert!(sidecars.read(later).is_none());
    }
}
