//! A file's bytes as a stream of chunks.

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

/// Bytes that a slow reader holds in memory.
const CHUNK_BYTES: usize = 64 * 1024;

/// The first chunk of `span`, for callers on a blocking thread. A small object needs no other.
pub fn first_chunk(file: &File, span: &Range<u64>) -> io::Result<Bytes> {
    read_chunk(file, span)
}

/// `first` and then the rest of `span`. Each chunk is read when the reader asks for it: at once where
/// the kernel has it in memory, else on a blocking thread.
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
        let chunk = match cached_chunk(&file, &rest) {
            Some(chunk) => chunk,
            None => {
                let (file, rest) = (Arc::clone(&file), rest.clone());
                run_blocking(operation, move || {
                    read_chunk(&file, &rest).map_err(|error| on_io(operation, error))
                })
                .await?
            }
        };
        let rest = rest.start + chunk.len() as u64..rest.end;
        Ok(Some((chunk, (file, rest))))
    });
    head.chain(tail).boxed()
}

fn chunk_length(span: &Range<u64>) -> usize {
    usize::try_from(span.end - span.start).map_or(CHUNK_BYTES, |left| left.min(CHUNK_BYTES))
}

/// The first bytes of `span` that the kernel has in memory: at least one unless `span` is empty, at most
/// [`CHUNK_BYTES`]. `None` where the disk is needed, or after an error, which [`read_chunk`] meets again.
#[cfg(target_os = "linux")]
pub fn cached_chunk(file: &File, span: &Range<u64>) -> Option<Bytes> {
    use rustix::io::{ReadWriteFlags, preadv2};

    let wanted = chunk_length(span);
    if wanted == 0 {
        return Some(Bytes::new());
    }
    let mut chunk = vec![0; wanted];
    let mut into = [io::IoSliceMut::new(&mut chunk)];
    let read = preadv2(file, &mut into, span.start, ReadWriteFlags::NOWAIT).ok()?;
    chunk.truncate(read);
    (read > 0).then(|| chunk.into())
}

#[cfg(not(target_os = "linux"))]
pub fn cached_chunk(_: &File, _: &Range<u64>) -> Option<Bytes> {
    None
}

/// The first [`CHUNK_BYTES`] bytes of `span`, or all of a shorter one.
fn read_chunk(file: &File, span: &Range<u64>) -> io::Result<Bytes> {
    let wanted = chunk_length(span);
    if wanted == 0 {
        return Ok(Bytes::new());
    }
    // Spare capacity is not zeroed, and a full vector becomes `Bytes` without a copy.
    let mut chunk = Vec::with_capacity(wanted);
    while chunk.len() < wanted {
        let offset = span.start + chunk.len() as u64;
        match rustix::io::pread(file, spare_capacity(&mut chunk), offset) {
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
    chunk.truncate(wanted);
    Ok(chunk.into())
}
