//! The requests of a multipart upload.

use std::collections::VecDeque;
use std::time::Duration;

use aws_sdk_s3::config::Builder;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};
use bytes::Bytes;

use super::AwsBackend;
use super::clients::{COMPLETE, SILENCE};
use super::error::{backend_error, is_missing, strange};
use super::request_body::in_memory;
use super::upload_target::{Target, within};
use crate::error::Result;
use crate::object_backend::Stored;

/// Bytes per second below which sending a part is given up.
const SLOWEST_UPLOAD: u64 = 64 * 1024;

pub struct Multipart {
    pub target: Target,
    /// Storage's name for the upload, once it has begun.
    id: Option<String>,
    parts: Vec<CompletedPart>,
}

impl Multipart {
    pub fn new(target: Target) -> Self {
        Self {
            target,
            id: None,
            parts: Vec::new(),
        }
    }

    pub fn has_begun(&self) -> bool {
        self.id.is_some()
    }

    /// Sends the next part; before the first one, begins the upload.
    pub async fn send(&mut self, pieces: VecDeque<Bytes>, length: u64) -> Result<()> {
        let id = match &self.id {
            Some(id) => id.clone(),
            None => {
                let id = within(SILENCE, "put", self.begin()).await?;
                let id = self.id.insert(id).clone();
                if let Some(recorder) = &self.target.options.recorder {
                    recorder.record(&id).await?;
                }
                id
            }
        };
        let number = i32::try_from(self.parts.len() + 1)
            .map_err(|_| strange("put", "more parts than can be counted"))?;
        let size = i64::try_from(length).map_err(|_| strange("put", "a part of that size"))?;
        let backend = &self.target.backend;
        let answer = backend.clients.again.upload_part();
        let answer = answer
            .bucket(&*backend.bucket)
            .key(&self.target.key)
            .upload_id(id)
            .part_number(number)
            .content_length(size)
            .body(ByteStream::new(in_memory(pieces)))
            .customize()
            .disable_payload_signing()
            .config_override(Builder::new().timeout_config(limit(length)))
            .send()
            .await
            .map_err(|error| backend_error("put", &error).of_an_upload(false))?;
        let Some(etag) = answer.e_tag() else {
            return Err(strange("put", "storage gives parts no entity tag"));
        };
        let part = CompletedPart::builder().part_number(number).e_tag(etag);
        self.parts.push(part.build());
        Ok(())
    }

    /// Not repeated: two would begin, and one stay open.
    async fn begin(&self) -> Result<String> {
        let backend = &self.target.backend;
        let request = backend.clients.once.create_multipart_upload();
        let answer = request
            .bucket(&*backend.bucket)
            .key(&self.target.key)
            .content_type(self.target.options.kept_type())
            .set_content_encoding(self.target.options.content_encoding.clone())
            .set_content_language(self.target.options.content_language.clone())
            .set_metadata(self.target.metadata())
            .send()
            .await
            .map_err(|error| backend_error("put", &error).of_an_upload(false))?;
        let id = answer.upload_id().filter(|id| !id.is_empty());
        id.map(str::to_owned)
            .ok_or_else(|| strange("put", "storage gives the upload no name"))
    }

    /// Makes the object visible. Not repeated: the second try of a success says that the key is
    /// taken, or that there is no such upload.
    pub async fn complete(&mut self, size: u64) -> Result<Stored> {
        // A writer that is stopped after this finds its upload aborted by whoever settles it.
        self.target.check_fence()?;
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
            .mutate_request(self.target.exclusively());
        let answer = within(COMPLETE, "put", async { Ok(request.send().await) }).await?;
        match answer {
            Ok(answer) => {
                self.id = None;
                self.target.stored(answer.e_tag(), size)
            }
            Err(error) => Err(self.target.refusal(error).await),
        }
    }

    /// Removes the parts that storage has.
    pub async fn abort(&mut self) -> Result<()> {
        if let Some(id) = &self.id {
            abort(&self.target.backend, &self.target.key, id).await?;
        }
        self.id = None;
        Ok(())
    }
}

/// Removes the parts that storage has of the upload that it calls `id`.
pub async fn abort(backend: &AwsBackend, key: &str, id: &str) -> Result<()> {
    let request = backend.clients.again.abort_multipart_upload();
    let request = request.bucket(&*backend.bucket).key(key).upload_id(id);
    match request.send().await {
        // Gone already, or completed after all.
        Err(error) if is_missing(&error) => Ok(()),
        Err(error) => Err(backend_error("abort", &error)),
        Ok(_) => Ok(()),
    }
}

/// Of each try: a larger part gets more time.
fn limit(length: u64) -> TimeoutConfig {
    let sending = Duration::from_secs(length / SLOWEST_UPLOAD);
    TimeoutConfig::builder()
        .operation_attempt_timeout(SILENCE + sending)
        .build()
}
