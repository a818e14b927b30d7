//! The folder of a sled database: opened, private, on disk, and with room to write.

use std::fs::{File, TryLockError};
use std::io::{self, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use crate::error::{BackendError, ErrorKind};
use crate::private_files;
use crate::sync_folders::sync_folders;

const TREE: &str = "asset-gateway";
/// Bytes that must find room before a database is opened that has failed: sled begins a segment of
/// 512 KiB, and writes a snapshot of its page table.
const ROOM_BYTES: usize = 2 << 20;
/// The log ends at a multiple of it.
const FILLED_BYTES: u64 = 8192;
/// The file that [`room`] writes. sled looks at names of its own only.
const ROOM_FILE: &str = "room.tmp";
/// sled's threads may hold the lock of a database for a moment after it was dropped.
const LOCK_PATIENCE: Duration = Duration::from_secs(5);
const LOCK_RETRY: Duration = Duration::from_millis(20);

/// A database that is open. Dropping it gives the folder free.
pub struct Open {
    pub tree: sled::Tree,
    db: sled::Db,
    /// sled's own file, once more: sled writes to it and waits for the bytes, but never for the
    /// file's length or the disk's cache.
    log: File,
    /// Shares the error that stops the database.
    config: sled::Config,
}

impl Open {
    /// Opens or makes the database in `folder`.
    pub fn at(folder: &Path, config: sled::Config) -> Result<Self, NotOpened> {
        let io = NotOpened::io;
        private_files::create_folder(folder).map_err(io)?;
        private_files::restrict_all(folder);
        clear(folder)?;
        let config = config
            .path(folder)
            // The writer does it, on demand.
            .flush_every_ms(None);
        let db = config.open().map_err(NotOpened::sled)?;
        let tree = db.open_tree(TREE).map_err(NotOpened::sled)?;
        let log = File::options().write(true).open(folder.join("db"));
        let log = log.map_err(io)?;
        private_files::restrict_new(folder);
        // Before anything in them is promised: the files' names, and the folder's own.
        sync_folders(folder).map_err(io)?;
        let open = Self {
            tree,
            db,
            log,
            config,
        };
        open.flush().map_err(NotOpened::sled)?;
        Ok(open)
    }

    /// As [`at`](Self::at), for a folder that this process had open just now.
    pub fn reopen(folder: &Path) -> Result<Self, NotOpened> {
        let deadline = Instant::now() + LOCK_PATIENCE;
        loop {
            match Self::at(folder, sled::Config::new()) {
                Err(NotOpened::InUse) if Instant::now() < deadline => {
                    std::thread::sleep(LOCK_RETRY);
                }
                other => return other,
            }
        }
    }

    /// Returns when everything that was written survives a power cut. Called by the one thread that
    /// writes: nothing is on its way into the log meanwhile.
    pub fn flush(&self) -> sled::Result<()> {
        self.db.flush()?;
        self.fill_block();
        Ok(self.log.sync_data()?)
    }

    /// Zeros after the end of the log, as sled itself leaves them when it recovers: the next writes
    /// change no length, and a sync has less to do. Nothing depends on it.
    fn fill_block(&self) {
        #[cfg(unix)]
        if let Ok(length) = self.log.metadata().map(|log| log.len())
            && let Some(missing) = length.checked_next_multiple_of(FILLED_BYTES)
        {
            use std::os::unix::fs::FileExt;
            let zeros = [0; FILLED_BYTES as usize];
            let missing = usize::try_from(missing - length).unwrap_or_default();
            // A full disk shows at the next write.
            let _ = self.log.write_all_at(&zeros[..missing], length);
        }
    }

    /// The error after which sled refuses every write.
    pub fn stopped_by(&self) -> Option<sled::Error> {
        self.config.global_error().err()
    }

    /// Wakes whoever waits in [`flush`](Self::flush) for a write that has failed: sled does not
    /// always do that itself.
    pub fn wake_flush(&self) {
        // The error is the one that `stopped_by` tells.
        let _ = self.db.flush();
    }
}

/// Removes what a start left behind that was cut off, by a kill or a full disk. sled takes a half
/// snapshot for a whole one, and then calls the database corrupt for good.
fn clear(folder: &Path) -> Result<(), NotOpened> {
    let removed = |path: &Path| match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(NotOpened::io(error)),
        _ => Ok(()),
    };
    let database = folder.join("db");
    let _locked = match File::open(&database) {
        Ok(file) => match file.try_lock() {
            Err(TryLockError::WouldBlock) => return Err(NotOpened::InUse),
            // A file system without locks: sled will say so.
            Ok(()) | Err(TryLockError::Error(_)) => Some(file),
        },
        // The parameters are written before the database: without one, they may be half of them.
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            removed(&folder.join("conf"))?;
            None
        }
        Err(error) => return Err(NotOpened::io(error)),
    };
    for entry in std::fs::read_dir(folder).map_err(NotOpened::io)? {
        let path = entry.map_err(NotOpened::io)?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "generating")
        {
            removed(&path)?;
        }
    }
    Ok(())
}

/// Why a database is not open.
#[derive(Debug)]
pub enum NotOpened {
    InUse,
    /// The disk, or what one may write of it, is full.
    NoRoom(io::Error),
    Other(sled::Error),
}

impl NotOpened {
    fn io(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::NoRoom(error),
            _ => Self::Other(error.into()),
        }
    }

    fn sled(error: sled::Error) -> Self {
        match error {
            sled::Error::Io(io) if io.to_string().contains("could not acquire lock") => Self::InUse,
            sled::Error::Io(io) => Self::io(io),
            other @ (sled::Error::CollectionNotFound(_)
            | sled::Error::Unsupported(_)
            | sled::Error::ReportableBug(_)
            | sled::Error::Corruption { .. }) => Self::Other(other),
        }
    }

    /// For who starts the process: what to do about it.
    pub fn of(self, folder: &Path) -> BackendError {
        let folder = folder.display();
        let text = match self {
            Self::InUse => format!("{folder} is in use by another process"),
            Self::NoRoom(error) => format!(
                "{folder}: the disk has no room for the token store ({error}): \
                 free some space there and start again; nothing that was acknowledged is lost"
            ),
            Self::Other(error) => return failed("sled.open")(error),
        };
        BackendError::with_source(ErrorKind::Unavailable, "sled.open", text)
    }
}

impl std::fmt::Display for NotOpened {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::InUse => f.write_str("the folder is in use by another process"),
            Self::NoRoom(error) => error.fmt(f),
            Self::Other(error) => error.fmt(f),
        }
    }
}

/// Whether a database in `folder` would find room to write.
pub fn room(folder: &Path) -> io::Result<()> {
    let path = folder.join(ROOM_FILE);
    let written = write_room(&path);
    let removed = std::fs::remove_file(&path);
    written.and(removed)
}

fn write_room(path: &Path) -> io::Result<()> {
    let mut options = private_files::file_options();
    let mut file = options.write(true).create(true).truncate(true).open(path)?;
    file.write_all(&vec![0; ROOM_BYTES])?;
    // Some file systems look for the room when bytes go to the disk.
    file.sync_all()
}

/// An error of sled's, of `operation`.
pub fn failed(operation: &'static str) -> impl Fn(sled::Error) -> BackendError {
    move |e| {
        let kind = match e {
            sled::Error::Corruption { .. } | sled::Error::ReportableBug(_) => ErrorKind::Corrupt,
            sled::Error::Io(_)
            | sled::Error::CollectionNotFound(_)
            | sled::Error::Unsupported(_) => ErrorKind::Upstream,
        };
        BackendError::with_source(kind, operation, e)
    }
}
