//! A sled database in its folder: opened with private modes, synced to disk, checked for free space.
//!
//! `writer` decides when it is reopened.

use std::fs::{File, TryLockError};
use std::io::{self, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use crate::error::{BackendError, ErrorKind};
use crate::private_files;
use crate::sync_folders::sync_folders;

const TREE: &str = "asset-gateway";
/// Free bytes required before a database is reopened after an outage: sled starts a segment of 512 KiB
/// and writes a snapshot of its page table.
const REQUIRED_FREE_BYTES: usize = 2 << 20;
/// The log is padded to a multiple of this.
const LOG_BLOCK_BYTES: u64 = 8192;
/// File that [`check_free_space`] writes; sled ignores names that are not its own.
const FREE_SPACE_PROBE: &str = "room.tmp";
/// How long to wait for the lock of a dropped database, which sled's threads release with a delay.
const LOCK_TIMEOUT: Duration = Duration::from_secs(5);
const LOCK_RETRY_INTERVAL: Duration = Duration::from_millis(20);

/// An open database. Dropping it unlocks the folder.
pub struct Database {
    pub tree: sled::Tree,
    db: sled::Db,
    /// A second handle of sled's log file, for `fdatasync`: sled waits for the written bytes, but not
    /// for the file's length or the disk's cache.
    log: File,
    /// Shares sled's global error, after which it refuses writes.
    config: sled::Config,
}

impl Database {
    /// Opens or creates the database in `folder`.
    pub fn open(folder: &Path, config: sled::Config) -> Result<Self, OpenError> {
        let io = OpenError::io;
        private_files::create_folder(folder).map_err(io)?;
        private_files::restrict_all(folder);
        remove_partial_files(folder)?;
        let config = config
            .path(folder)
            // The writer thread flushes on demand.
            .flush_every_ms(None);
        let db = config.open().map_err(OpenError::sled)?;
        let tree = db.open_tree(TREE).map_err(OpenError::sled)?;
        let log = File::options().write(true).open(folder.join("db"));
        let log = log.map_err(io)?;
        private_files::restrict_new(folder);
        // The names of the files and of the folder must be durable before any write is acknowledged.
        sync_folders(folder).map_err(io)?;
        let database = Self {
            tree,
            db,
            log,
            config,
        };
        database.flush().map_err(OpenError::sled)?;
        Ok(database)
    }

    /// As [`open`](Self::open), for a folder that this process has just closed.
    pub fn reopen(folder: &Path) -> Result<Self, OpenError> {
        let deadline = Instant::now() + LOCK_TIMEOUT;
        loop {
            match Self::open(folder, sled::Config::new()) {
                Err(OpenError::InUse) if Instant::now() < deadline => {
                    std::thread::sleep(LOCK_RETRY_INTERVAL);
                }
                other => return other,
            }
        }
    }

    /// Returns when all writes survive a power cut. Only the writer thread calls it, so nothing is
    /// written to the log meanwhile.
    pub fn flush(&self) -> sled::Result<()> {
        self.db.flush()?;
        self.pad_log();
        Ok(self.log.sync_data()?)
    }

    /// Pads the log with zeros, as sled's own recovery does, so that the next writes do not change the
    /// file's length and a sync is cheaper. An optimisation only.
    fn pad_log(&self) {
        #[cfg(unix)]
        if let Ok(length) = self.log.metadata().map(|log| log.len())
            && let Some(missing) = length.checked_next_multiple_of(LOG_BLOCK_BYTES)
        {
            use std::os::unix::fs::FileExt;
            let zeros = [0; LOG_BLOCK_BYTES as usize];
            let missing = usize::try_from(missing - length).unwrap_or_default();
            // A full disk fails at the next write.
            let _ = self.log.write_all_at(&zeros[..missing], length);
        }
    }

    /// The error after which sled refuses every write.
    pub fn global_error(&self) -> Option<sled::Error> {
        self.config.global_error().err()
    }

    /// Wakes a [`flush`](Self::flush) that waits for a failed write, which sled does not always do.
    pub fn wake_flush(&self) {
        // Its error is the one of `global_error`.
        let _ = self.db.flush();
    }
}

/// Removes files of an interrupted start (a kill, a full disk). sled would take a partial snapshot for a
/// complete one, and report the database as corrupt from then on.
fn remove_partial_files(folder: &Path) -> Result<(), OpenError> {
    let removed = |path: &Path| match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(OpenError::io(error)),
        _ => Ok(()),
    };
    let database = folder.join("db");
    let _locked = match File::open(&database) {
        Ok(file) => match file.try_lock() {
            Err(TryLockError::WouldBlock) => return Err(OpenError::InUse),
            // sled reports a file system without locks.
            Ok(()) | Err(TryLockError::Error(_)) => Some(file),
        },
        // sled writes its parameters before the database; without a database they may be partial.
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            removed(&folder.join("conf"))?;
            None
        }
        Err(error) => return Err(OpenError::io(error)),
    };
    for entry in std::fs::read_dir(folder).map_err(OpenError::io)? {
        let path = entry.map_err(OpenError::io)?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "generating")
        {
            removed(&path)?;
        }
    }
    Ok(())
}

/// Why a database cannot be opened.
#[derive(Debug)]
pub enum OpenError {
    InUse,
    /// The disk, or the quota, is full.
    DiskFull(io::Error),
    Other(sled::Error),
}

impl OpenError {
    fn io(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::DiskFull(error),
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

    /// The error for the operator, with the remedy.
    pub fn at(self, folder: &Path) -> BackendError {
        let folder = folder.display();
        let text = match self {
            Self::InUse => format!("{folder} is in use by another process"),
            Self::DiskFull(error) => format!(
                "{folder}: the disk has no room for the token store ({error}): \
                 free some space there and start again; no acknowledged write is lost"
            ),
            Self::Other(error) => return to_backend_error("sled.open")(error),
        };
        BackendError::with_source(ErrorKind::Unavailable, "sled.open", text)
    }
}

impl std::fmt::Display for OpenError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::InUse => f.write_str("the folder is in use by another process"),
            Self::DiskFull(error) => error.fmt(f),
            Self::Other(error) => error.fmt(f),
        }
    }
}

/// Checks that `folder` has room for a database to write.
pub fn check_free_space(folder: &Path) -> io::Result<()> {
    let path = folder.join(FREE_SPACE_PROBE);
    let written = write_probe(&path);
    let removed = std::fs::remove_file(&path);
    written.and(removed)
}

fn write_probe(path: &Path) -> io::Result<()> {
    let mut options = private_files::file_options();
    let mut file = options.write(true).create(true).truncate(true).open(path)?;
    file.write_all(&vec![0; REQUIRED_FREE_BYTES])?;
    // Some file systems allocate space only when bytes go to the disk.
    file.sync_all()
}

/// Converts a sled error of `operation`.
pub fn to_backend_error(operation: &'static str) -> impl Fn(sled::Error) -> BackendError {
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
