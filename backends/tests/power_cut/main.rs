//! The power goes: what was acknowledged is on disk.
//!
//! A process of its own works on a folder, and strace records its system calls. They are replayed on
//! a model of a disk that keeps only what was synced, or any of the rest; the power is cut at every
//! call, and what a start then finds is compared with what had been acknowledged.
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

/// Names the folder to the process that is recorded.
const FOLDER: &str = "POWER_CUT_FOLDER";

/// The folder of the process that is recorded.
fn folder() -> PathBuf {
    let folder = std::env::var_os(FOLDER);
    folder.expect("only the other tests run this one").into()
}

/// Tells the recorder that something is acknowledged from now on.
fn acknowledge(what: &str) {
    let line = format!("{}{what}\n", trace::ACKNOWLEDGED);
    // One write, unbuffered.
    std::io::stderr().write_all(line.as_bytes()).unwrap();
}

/// In memory where there is a choice: thousands of folders are made.
fn scratch() -> tempfile::TempDir {
    let memory = std::path::Path::new("/dev/shm");
    tempfile::tempdir_in(memory)
        .or_else(|_| tempfile::tempdir())
        .unwrap()
}
