//! A file's bytes as a stream.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream::{self, BoxStream, StreamExt};
use rustix::buffer::spare_capacity;

use super::error::on_io;
use super::run_blocking;
use crate::error::Result;

/// Bytes of a piece: what a slow reader holds in memory.
const PIECE: usize = 64 * 1024;

/// The first piece of `span`, for callers that are on a blocking thread already: a small object
/// needs no other.
pub fn first_piece(file: &File, span: &Range<u64>) -> io::Result<Bytes> {
    read_piece(file, span)
}

/// `first` and then the rest of `span`, one piece at a time, each read when it is asked for: at once
/// where the kernel has it in memory, else by a thread that may wait for the disk.
pub fn stream(
    operation: &'static str,
    file: File,
    first: Bytes,
    span: Range<u64>,
) -> BoxStream<'static, Result<Bytes>> {
    let rest = span.start + first.len() as u64..span.end;
    let head = stream::iter((!first.is_empty()).then_some(Ok(first)));
    if rest.is_empty() {
        return head.boxed();
    }
    let tail = stream::try_unfold((Arc::new(file), rest), move |(file, rest)| async move {
        if rest.is_empty() {
            return Ok(None);
        }
        let piece = match cached_piece(&file, &rest) {
            Some(piece) => piece,
            None => {
                let (file, rest) = (Arc::clone(&file), rest.clone());
                run_blocking(operation, move || {
                    read_piece(&file, &rest).map_err(|error| on_io(operation, error))
                })
                .await?
            }
        };
        let rest = rest.start + piece.len() as u64..rest.end;
        Ok(Some((piece, (file, rest))))
    });
    head.chain(tail).boxed()
}

fn piece_of(span: &Range<u64>) -> usize {
    usize::try_from(span.end - span.start).map_or(PIECE, |left| left.min(PIECE))
}

/// Bytes from the beginning of `span` that are in the kernel's memory: at least one unless `span` is
/// empty, at most [`PIECE`]. `None` where a disk has to be waited for, or something is wrong that
/// [`read_piece`] will find again.
#[cfg(target_os = "linux")]
pub fn cached_piece(file: &File, span: &Range<u64>) -> Option<Bytes> {
    use rustix::io::{ReadWriteFlags, preadv2};

    let wanted = piece_of(span);
    if wanted == 0 {
        return Some(Bytes::new());
    }
    let mut piece = vec![0; wanted];
    let mut into = [io::IoSliceMut::new(&mut piece)];
    let read = preadv2(file, &mut into, span.start, ReadWriteFlags::NOWAIT).ok()?;
    piece.truncate(read);
    (read > 0).then(|| piece.into())
}

#[cfg(not(target_os = "linux"))]
pub fn cached_piece(_: &File, _: &Range<u64>) -> Option<Bytes> {
    None
}

/// Up to [`PIECE`] bytes from the beginning of `span`; less only where `span` is shorter.
fn read_piece(file: &File, span: &Range<u64>) -> io::Result<Bytes> {
    let wanted = piece_of(span);
    if wanted == 0 {
        return Ok(Bytes::new());
    }
    // Spare capacity is not zeroed first, and a full vector becomes `Bytes` without a copy.
    let mut piece = Vec::with_capacity(wanted);
    while piece.len() < wanted {
        let offset = span.start + piece.len() as u64;
        match rustix::io::pread(file, spare_capacity(&mut piece), offset) {
            Ok(0) => {
                return Err(io::Error::new(
                    io::ErrorKind::UnexpectedEof,
                    "the file became shorter while it was read",
                ));
            }
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    piece.truncate(wanted);
    Ok(piece.into())
}
