//! Attributes beside the files, for file systems that cannot keep them with the file.

use std::fs;
use std::io;
use std::path::PathBuf;

use super::attributes::Attributes;
use super::stamp::Stamp;

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
        let text = fs::read(self.path(stamp.inode)).ok()?;
        let entry: Entry = serde_json::from_slice(&text).ok()?;
        (entry.stamp == stamp).then_some(entry.attributes)
    }

    pub fn write(&self, stamp: Stamp, attributes: &Attributes) -> io::Result<()> {
        fs::create_dir_all(&self.folder)?;
        let entry = Entry {
            stamp,
            attributes: attributes.clone(),
        };
        // Of a temporary file's inode there is no reader yet: no need to write it atomically.
        fs::write(self.path(stamp.inode), serde_json::to_vec(&entry)?)
    }

    /// Forgets an inode that is no object any more.
    pub fn remove(&self, inode: u64) {
        // Almost always there is none.
        let _ = fs::remove_file(self.path(inode));
    }

    fn path(&self, inode: u64) -> PathBuf {
        self.folder.join(format!("{inode:x}"))
    }
}
