//! The requests of a multipart upload through the SDK. `object_backend::multipart` drives them.

use std::collections::VecDeque;

use async_trait::async_trait;
use aws_sdk_s3::config::Builder;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};
use bytes::Bytes;

use super::AwsBackend;
use super::error::{backend_error, invalid_response, is_missing};
use super::request_body::in_memory;
use super::upload_target::{UploadTarget, within};
use crate::error::Result;
use crate::object_backend::Stored;
use crate::object_backend::multipart::MultipartRequests;
use crate::object_backend::remote::timeouts::{COMPLETE_TIMEOUT, RESPONSE_TIMEOUT, part_timeout};
use crate::object_backend::remote::upload_outcome::stored;

pub struct AwsMultipart {
    target: UploadTarget,
    /// Storage's name for the upload, from its beginning to its completion.
    id: Option<String>,
    parts: Vec<CompletedPart>,
}

impl AwsMultipart {
    pub fn new(target: UploadTarget) -> Self {
        Self {
            target,
            id: None,
            parts: Vec::new(),
        }
    }

    async fn create(&self) -> Result<String> {
        let backend = &self.target.backend;
        let request = backend.clients.once.create_multipart_upload();
        let response = request
            .bucket(&*backend.bucket)
            .key(&self.target.key)
            .content_type(self.target.options.stored_type())
            .set_content_encoding(self.target.options.content_encoding.clone())
            .set_content_language(self.target.options.content_language.clone())
            .set_metadata(self.target.metadata())
            .send()
            .await
            .map_err(|error| backend_error("put", &error).of_an_upload(false))?;
        let id = response.upload_id().filter(|id| !id.is_empty());
        id.map(str::to_owned)
            .ok_or_else(|| invalid_response("put", "storage gives the upload no id"))
    }
}

#[async_trait]
impl MultipartRequests for AwsMultipart {
    const KEEPS_A_PART: bool = false;

    async fn begin(&mut self) -> Result<Option<String>> {
        let id = within(RESPONSE_TIMEOUT, "put", self.create()).await?;
        self.id = Some(id.clone());
        Ok(Some(id))
    }

    async fn part(&mut self, chunks: VecDeque<Bytes>, length: u64) -> Result<()> {
        let number = i32::try_from(self.parts.len() + 1)
            .map_err(|_| invalid_response("put", "more parts than can be counted"))?;
        let size =
            i64::try_from(length).map_err(|_| invalid_response("put", "a part of that size"))?;
        // Each try has its own limit: a larger part gets more time.
        let limit = TimeoutConfig::builder().operation_attempt_timeout(part_timeout(length));
        let backend = &self.target.backend;
        let request = backend.clients.again.upload_part();
        let response = request
            .bucket(&*backend.bucket)
            .key(&self.target.key)
            .set_upload_id(self.id.clone())
            .part_number(number)
            .content_length(size)
            .body(ByteStream::new(in_memory(chunks)))
            .customize()
            .disable_payload_signing()
            .config_override(Builder::new().timeout_config(limit.build()))
            .send()
            .await
            .map_err(|error| backend_error("put", &error).of_an_upload(false))?;
        let Some(etag) = response.e_tag() else {
            return Err(invalid_response(
                "put",
                "storage gives a part no entity tag",
            ));
        };
        let part = CompletedPart::builder().part_number(number).e_tag(etag);
        self.parts.push(part.build());
        Ok(())
    }

    async fn complete(&mut self, size: u64) -> Result<Stored> {
        let parts = CompletedMultipartUpload::builder().set_parts(Some(self.parts.clone()));
        let backend = &self.target.backend;
        let request = backend.clients.once.complete_multipart_upload();
        let request = request
            .bucket(&*backend.bucket)
            .key(&self.target.key)
            .set_upload_id(self.id.clone())
            .set_if_none_match(self.target.if_none_match())
            .multipart_upload(parts.build())
            .customize()
            .mutate_request(self.target.forbid_overwrite());
        let response = async { Ok(request.send().await) };
        match within(COMPLETE_TIMEOUT, "put", response).await? {
            Ok(response) => {
                self.id = None;
                stored(response.e_tag(), size)
            }
            Err(error) => Err(self.target.refused(error).await),
        }
    }

    async fn abort(&mut self) -> Result<()> {
        match self.id.take() {
            Some(id) => abort(&self.target.backend, &self.target.key, &id).await,
            None => Ok(()),
        }
    }

    async fn put_whole(&mut self, chunks: VecDeque<Bytes>, size: u64) -> Result<Stored> {
        let request = self.target.put_object(self.target.body(chunks), size);
        within(COMPLETE_TIMEOUT, "put", request).await
    }
}

/// Removes the parts of the upload `id`.
pub async fn abort(backend: &AwsBackend, key: &str, id: &str) -> Result<()> {
    let request = backend.clients.again.abort_multipart_upload();
    let request = request.bucket(&*backend.bucket).key(key).upload_id(id);
    match request.send().await {
        // Aborted already, or completed after all.
        Err(error) if is_missing(&error) => Ok(()),
        Err(error) => Err(backend_error("abort", &error)),
        Ok(_) => Ok(()),
    }
}
