//! One upload: a temporary file that becomes the object.

use std::collections::VecDeque;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

use super::Shared;
use super::attributes::Attributes;
use super::error::on_io;
use super::file_identity::Stamp;
use super::publish::{check_target, publish};
use super::run_blocking;
use super::temp_file::TempFile;
use crate::error::Result;
use crate::object_backend::part_buffer::PartBuffer;
use crate::object_backend::upload_error::earlier_write_failed;
use crate::object_backend::{Fence, PutOptions, Stored, Upload};

/// Bytes that are gathered before a thread is asked to write them.
const GATHER: u64 = 256 * 1024;

pub struct FsUpload {
    shared: Arc<Shared>,
    relative: PathBuf,
    attributes: Attributes,
    must_not_exist: bool,
    fence: Option<Arc<dyn Fence>>,
    temp: TempFile,
    gathered: PartBuffer,
    /// Bytes in the file, or on the way there.
    written: u64,
    /// A write failed, or nobody waited for how it ended.
    broken: bool,
}

impl FsUpload {
    pub async fn begin(
        shared: Arc<Shared>,
        relative: PathBuf,
        options: PutOptions,
    ) -> Result<Self> {
        let must_not_exist = options.must_not_exist;
        let marker = options.marker.clone();
        let (shared, relative, temp) = run_blocking("put", move || {
            // What can be known now is said before the body is sent; `finish` decides.
            check_target(&shared.root, &relative, must_not_exist)?;
            let temp = shared.temps.create(marker.as_deref());
            let temp = temp.map_err(|error| on_io("put", error))?;
            Ok((shared, relative, temp))
        })
        .await?;
        Ok(Self {
            shared,
            relative,
            attributes: Attributes {
                content_type: Some(options.kept_type()),
                content_encoding: options.content_encoding,
                content_language: options.content_language,
                marker: options.marker,
            },
            must_not_exist,
            fence: options.fence,
            temp,
            gathered: PartBuffer::default(),
            written: 0,
            broken: false,
        })
    }

    /// Takes what was gathered and where in the file it belongs.
    fn take_gathered(&mut self) -> (VecDeque<Bytes>, u64) {
        let offset = self.written;
        self.written += self.gathered.length();
        (self.gathered.take(), offset)
    }

    fn check(&self) -> Result<()> {
        if self.broken {
            return Err(earlier_write_failed());
        }
        Ok(())
    }
}

/// Positioned, so that a write that was given up cannot shift a later one.
fn write_at(file: &File, pieces: &VecDeque<Bytes>, mut offset: u64) -> Result<()> {
    for piece in pieces {
        file.write_all_at(piece, offset)
            .map_err(|error| on_io("put", error))?;
        offset += piece.len() as u64;
    }
    Ok(())
}

#[async_trait]
impl Upload for FsUpload {
    async fn write(&mut self, piece: Bytes) -> Result<()> {
        self.check()?;
        self.gathered.push(piece);
        if self.gathered.length() < GATHER {
            return Ok(());
        }
        let (pieces, offset) = self.take_gathered();
        let file = Arc::clone(&self.temp.file);
        self.broken = true;
        run_blocking("put", move || write_at(&file, &pieces, offset)).await?;
        self.broken = false;
        Ok(())
    }

    async fn finish(mut self: Box<Self>) -> Result<Stored> {
        self.check()?;
        let (pieces, offset) = self.take_gathered();
        run_blocking("put", move || {
            let upload = *self;
            let file = &upload.temp.file;
            write_at(file, &pieces, offset)?;
            let io = |error| on_io("put", error);
            let stamp = Stamp::of(&file.metadata().map_err(io)?);
            upload
                .attributes
                .write(file, stamp, &upload.shared.beside)
                .map_err(io)?;
            file.sync_all().map_err(io)?;
            let published = publish(
                &upload.shared,
                upload.temp,
                &upload.relative,
                upload.must_not_exist,
                upload.fence.as_ref(),
            );
            match published {
                Ok(published) => published.sync(&upload.shared.beside)?,
                Err(error) => {
                    upload.shared.beside.remove(stamp);
                    return Err(error);
                }
            }
            Ok(Stored {
                etag: stamp.etag(),
                size: stamp.size,
            })
        })
        .await
    }

    async fn abort(self: Box<Self>) -> Result<()> {
        run_blocking("abort", move || {
            drop(self);
            Ok(())
        })
        .await
    }
}
