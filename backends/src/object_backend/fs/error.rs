//! Errors of the operating system to ours.

use std::io;

use rustix::io::Errno;

use crate::error::{BackendError, ErrorKind};

/// An error while an object is looked up. What does not exist or is no object is `NotFound`.
pub fn on_read(operation: &'static str, errno: Errno) -> BackendError {
    let kind = match errno {
        // A folder of the path is a file, a link leads out of the root or in circles, or the name is
        // a socket or a device without a driver.
        Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::XDEV | Errno::NXIO => {
            ErrorKind::NotFound
        }
        _ => kind_of(errno),
    };
    wrap(kind, operation, errno)
}

/// An error while an object is made. A path that cannot be made makes the key invalid.
pub fn on_write(operation: &'static str, errno: Errno) -> BackendError {
    let kind = match errno {
        Errno::NOTDIR | Errno::ISDIR | Errno::LOOP | Errno::XDEV | Errno::NOTEMPTY => {
            ErrorKind::InvalidKey
        }
        Errno::EXIST => ErrorKind::PreconditionFailed,
        _ => kind_of(errno),
    };
    wrap(kind, operation, errno)
}

/// An error on an open file, or on a folder of the gateway.
pub fn on_io(operation: &'static str, error: impl Into<io::Error>) -> BackendError {
    let error = error.into();
    let kind = error.raw_os_error().map_or(ErrorKind::Upstream, |code| {
        kind_of(Errno::from_raw_os_error(code))
    });
    BackendError::with_source(kind, operation, error)
}

fn kind_of(errno: Errno) -> ErrorKind {
    match errno {
        Errno::NAMETOOLONG | Errno::ILSEQ => ErrorKind::InvalidKey,
        // Open files or memory have run out, or a network file system is away.
        Errno::MFILE | Errno::NFILE | Errno::NOMEM | Errno::STALE | Errno::HOSTDOWN => {
            ErrorKind::Unavailable
        }
        Errno::TIMEDOUT => ErrorKind::Timeout,
        // A full disk, missing rights, broken hardware.
        _ => ErrorKind::Upstream,
    }
}

fn wrap(kind: ErrorKind, operation: &'static str, errno: Errno) -> BackendError {
    BackendError::with_source(kind, operation, io::Error::from(errno))
}
