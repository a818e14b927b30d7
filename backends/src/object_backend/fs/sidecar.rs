//! Attributes beside the files, for file systems that cannot keep them with the file.

use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;

use super::attributes::Attributes;
use super::file_identity::Stamp;
use super::folders;
use crate::private_files;
use crate::sync_folders::sync_folders;

/// A folder of one small file per inode. Each names the state of the file that it is about, so
/// that a file that somebody else put or changed there is not given its type.
#[derive(Debug)]
pub struct Beside {
    folder: PathBuf,
    only: bool,
}

#[derive(serde::Serialize, serde::Deserialize)]
struct Entry {
    stamp: Stamp,
    #[serde(flatten)]
    attributes: Attributes,
}

impl Beside {
    /// `only`: never try extended attributes when writing.
    pub fn new(folder: PathBuf, only: bool) -> Self {
        Self { folder, only }
    }

    pub fn only(&self) -> bool {
        self.only
    }

    pub fn read(&self, stamp: Stamp) -> Option<Attributes> {
        let entry = self.entry(stamp.inode)?;
        (entry.stamp == stamp).then_some(entry.attributes)
    }

    fn entry(&self, inode: u64) -> Option<Entry> {
        let text = fs::read(self.path(inode)).ok()?;
        serde_json::from_slice(&text).ok()
    }

    /// On disk when it returns.
    pub fn write(&self, stamp: Stamp, attributes: &Attributes) -> io::Result<()> {
        if !self.folder.exists() {
            private_files::create_folder(&self.folder)?;
            sync_folders(&self.folder)?;
        }
        let entry = Entry {
            stamp,
            attributes: attributes.clone(),
        };
        // Of a temporary file's inode there is no reader yet: no need to write it atomically.
        let mut options = private_files::file_options();
        let options = options.write(true).create(true).truncate(true);
        let mut file = options.open(self.path(stamp.inode))?;
        file.write_all(&serde_json::to_vec(&entry)?)?;
        file.sync_all()?;
        Ok(folders::sync_at(&self.folder)?)
    }

    /// Forgets a file that is no object any more; its inode may be a later file by now.
    pub fn remove(&self, stamp: Stamp) {
        // Almost always there is none.
        if let Some(entry) = self.entry(stamp.inode)
            && entry.stamp.modified_ns <= stamp.modified_ns
        {
            let _ = fs::remove_file(self.path(stamp.inode));
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
    fn an_inode_that_is_a_later_file_by_now_keeps_its_attributes() {
        let folder = tempfile::tempdir().unwrap();
        let beside = Beside::new(folder.path().to_owned(), true);
        let earlier = Stamp {
            inode: 7,
            size: 1,
            modified_ns: 1,
        };
        let later = Stamp {
            modified_ns: 2,
            ..earlier
        };
        let attributes = Attributes::default();
        beside.write(later, &attributes).unwrap();
        beside.remove(earlier);
        assert!(beside.read(later).is_some());
        beside.remove(later);
        assert!(beside.read(later).is_none());
    }
}
