//! Sidecar files: attributes in files of their own, for file systems without extended attributes.

use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;

use super::attributes::Attributes;
use super::file_identity::FileIdentity;
use super::folders;
use crate::private_files;
use crate::sync_folders::sync_folders;

/// A folder with one small file for each inode.
///
/// A sidecar file names the identity of its object, so that a file which another program put or
/// changed there does not get the attributes of the file before it.
#[derive(Debug)]
pub struct Sidecars {
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
    pub fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    pub fn read(&self, identity: FileIdentity) -> Option<Attributes> {
        let sidecar = self.sidecar(identity.inode)?;
        (sidecar.identity == identity).then_some(sidecar.attributes)
    }

    fn sidecar(&self, inode: u64) -> Option<Sidecar> {
        let text = fs::read(self.path(inode)).ok()?;
        serde_json::from_slice(&text).ok()
    }

    /// Durable when it returns.
    pub fn write(&self, identity: FileIdentity, attributes: &Attributes) -> io::Result<()> {
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
    pub fn remove(&self, identity: FileIdentity) {
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
