//! The requests of an upload through OpenDAL's writer.
//!
//! The writer keeps the first part until a second one comes, and begins the upload then. An object
//! of one part is a single request.

use std::collections::VecDeque;

use async_trait::async_trait;
use bytes::Bytes;
use opendal::{Buffer, Writer};

use super::OpendalBackend;
use super::error::backend_error;
use crate::error::Result;
use crate::object_backend::Stored;
use crate::object_backend::multipart::MultipartRequests;
use crate::object_backend::remote::upload_outcome::{refused, stored};

pub struct OpendalMultipart {
    pub backend: OpendalBackend,
    pub key: String,
    pub must_not_exist: bool,
    pub writer: Writer,
}

#[async_trait]
impl MultipartRequests for OpendalMultipart {
    const KEEPS_A_PART: bool = true;

    /// OpenDAL tells nobody the id of the upload.
    async fn begin(&mut self) -> Result<Option<String>> {
        Ok(None)
    }

    async fn part(&mut self, chunks: VecDeque<Bytes>, _: u64) -> Result<()> {
        let written = self.writer.write(Buffer::from(chunks)).await;
        written.map_err(|error| backend_error("put", error).of_an_upload(self.must_not_exist))
    }

    async fn complete(&mut self, size: u64) -> Result<Stored> {
        match self.writer.close().await {
            // Never without a tag: the transport takes nothing else for an acknowledgement.
            Ok(metadata) => stored(metadata.etag(), size),
            Err(error) => {
                let is_conflict = error.kind() == opendal::ErrorKind::Conflict;
                let error = backend_error("put", error);
                let (backend, key) = (&self.backend, &self.key);
                Err(refused(backend, key, self.must_not_exist, is_conflict, error).await)
            }
        }
    }

    async fn abort(&mut self) -> Result<()> {
        let aborted = self.writer.abort().await;
        aborted.map_err(|error| backend_error("abort", error))
    }

    async fn put_whole(&mut self, chunks: VecDeque<Bytes>, size: u64) -> Result<Stored> {
        if size > 0 {
            self.part(chunks, size).await?;
        }
        self.complete(size).await
    }
}
