//! An upload: writes a temporary file, then publishes it.

use std::collections::VecDeque;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

use super::Bucket;
use super::error::on_io;
use super::file_metadata::Attributes;
use super::file_metadata::FileIdentity;
use super::publish::{check_target, publish};
use super::run_blocking;
use super::temp_file::TempFile;
use crate::error::Result;
use crate::object_backend::part_buffer::PartBuffer;
use crate::object_backend::upload::earlier_write_failed;
use crate::object_backend::{Fence, PutOptions, Stored, Upload};

/// Bytes that are buffered before a thread writes them.
const BUFFER_BYTES: u64 = 256 * 1024;

pub struct FsUpload {
    bucket: Arc<Bucket>,
    relative: PathBuf,
    attributes: Attributes,
    must_not_exist: bool,
    fence: Option<Arc<dyn Fence>>,
    temp: TempFile,
    buffer: PartBuffer,
    /// Bytes that were written, or are being written.
    written: u64,
    /// A write failed or was dropped in the middle.
    torn: bool,
}

impl FsUpload {
    pub async fn begin(
        bucket: Arc<Bucket>,
        relative: PathBuf,
        options: PutOptions,
    ) -> Result<Self> {
        let must_not_exist = options.must_not_exist;
        let marker = options.marker.clone();
        let (bucket, relative, temp) = run_blocking("put", move || {
            // Refuses before the body what is known now; `finish` decides.
            check_target(&bucket.root, &relative, must_not_exist)?;
            let temp = bucket.temps.create(marker.as_deref());
            let temp = temp.map_err(|error| on_io("put", error))?;
            Ok((bucket, relative, temp))
        })
        .await?;
        Ok(Self {
            bucket,
            relative,
            attributes: Attributes {
                content_type: Some(options.stored_type()),
                content_encoding: options.content_encoding,
                content_language: options.content_language,
                marker: options.marker,
            },
            must_not_exist,
            fence: options.fence,
            temp,
            buffer: PartBuffer::default(),
            written: 0,
            torn: false,
        })
    }

    /// The buffered chunks, and where in the file they belong.
    fn take_buffer(&mut self) -> (VecDeque<Bytes>, u64) {
        let offset = self.written;
        self.written += self.buffer.length();
        (self.buffer.take(), offset)
    }

    fn check(&self) -> Result<()> {
        if self.torn {
            return Err(earlier_write_failed());
        }
        Ok(())
    }
}

/// Writes at a position, so that a dropped write cannot shift a later one.
fn write_at(file: &File, chunks: &VecDeque<Bytes>, mut offset: u64) -> Result<()> {
    for chunk in chunks {
        file.write_all_at(chunk, offset)
            .map_err(|error| on_io("put", error))?;
        offset += chunk.len() as u64;
    }
    Ok(())
}

#[async_trait]
impl Upload for FsUpload {
    async fn write(&mut self, chunk: Bytes) -> Result<()> {
        self.check()?;
        self.buffer.push(chunk);
        if self.buffer.length() < BUFFER_BYTES {
            return Ok(());
        }
        let (chunks, offset) = self.take_buffer();
        let file = Arc::clone(&self.temp.file);
        self.torn = true;
        run_blocking("put", move || write_at(&file, &chunks, offset)).await?;
        self.torn = false;
        Ok(())
    }

    async fn finish(mut self: Box<Self>) -> Result<Stored> {
        self.check()?;
        let (chunks, offset) = self.take_buffer();
        run_blocking("put", move || {
            let upload = *self;
            let file = &upload.temp.file;
            write_at(file, &chunks, offset)?;
            let io = |error| on_io("put", error);
            let identity = FileIdentity::of(&file.metadata().map_err(io)?);
            let attributes = &upload.bucket.attributes;
            let written = attributes.write(file, identity, &upload.attributes);
            written.map_err(io)?;
            file.sync_all().map_err(io)?;
            let published = publish(
                &upload.bucket,
                upload.temp,
                &upload.relative,
                upload.must_not_exist,
                upload.fence.as_ref(),
            );
            match published {
                Ok(published) => published.sync(attributes)?,
                Err(error) => {
                    attributes.remove(identity);
                    return Err(error);
                }
            }
            Ok(Stored {
                etag: identity.etag(),
                size: identity.size,
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
