//! Power cuts: acknowledged objects and tokens are on disk.
//!
//! strace records the system calls of a process that works on a folder. They are replayed on a model of a
//! disk that keeps what was synced and any part of the rest. The power is cut after every call, and a
//! start on the remains must find all that was acknowledged.
//!
//! - `objects`: a bucket in a folder, with extended attributes and with sidecar files.
//! - `tokens`: the embedded store.
//! - `trace`: strace's log as a list of calls.
//! - `disk`: the model.

#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod disk;
mod objects;
mod tokens;
mod trace;

use std::io::Write;
use std::path::PathBuf;

/// Environment variable with the folder of the recorded process.
const FOLDER: &str = "POWER_CUT_FOLDER";

/// The folder of the recorded process.
fn folder() -> PathBuf {
    let folder = std::env::var_os(FOLDER);
    folder.expect("another test runs this one").into()
}

/// Writes an acknowledgement into the recorded calls.
fn acknowledge(what: &str) {
    let line = format!("{}{what}\n", trace::ACKNOWLEDGED);
    // A single unbuffered write.
    std::io::stderr().write_all(line.as_bytes()).unwrap();
}

/// A folder in memory where possible: the tests make thousands.
fn scratch() -> tempfile::TempDir {
    let memory = std::path::Path::new("/dev/shm");
    tempfile::tempdir_in(memory)
        .or_else(|_| tempfile::tempdir())
        .unwrap()
}
