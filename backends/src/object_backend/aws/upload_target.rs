//! What an upload writes to: bucket, key and options, and the request that stores a whole object.

use std::collections::{HashMap, VecDeque};
use std::error::Error as StdError;
use std::time::Duration;

use aws_sdk_s3::config::http::{HttpRequest, HttpResponse};
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::primitives::{ByteStream, SdkBody};
use bytes::Bytes;

use super::AwsBackend;
use super::error::{backend_error, invalid_response, is_conflict};
use super::request_body::fenced;
use crate::error::{BackendError, ErrorKind, Result};
use crate::object_backend::remote::upload_outcome::{refused, stored};
use crate::object_backend::{MARKER, PutOptions, Stored};

#[derive(Clone)]
pub struct UploadTarget {
    pub backend: AwsBackend,
    pub key: String,
    pub options: PutOptions,
}

impl UploadTarget {
    /// Stores the object in one request, which is never repeated: the second try of a success finds
    /// the key taken. Has no time limit. The `body` looks at the fence.
    pub async fn put_object(&self, body: SdkBody, length: u64) -> Result<Stored> {
        let size =
            i64::try_from(length).map_err(|_| invalid_response("put", "an object of that size"))?;
        let request = self.backend.clients.once.put_object();
        let response = request
            .bucket(&*self.backend.bucket)
            .key(&self.key)
            .content_type(self.options.stored_type())
            .set_content_encoding(self.options.content_encoding.clone())
            .set_content_language(self.options.content_language.clone())
            .set_metadata(self.metadata())
            .set_if_none_match(self.if_none_match())
            .content_length(size)
            .body(ByteStream::new(body))
            .customize()
            .disable_payload_signing()
            .mutate_request(self.forbid_overwrite())
            .send()
            .await;
        match response {
            Ok(response) => stored(response.e_tag(), length),
            Err(error) => Err(self.refused(error).await),
        }
    }

    /// The body of a whole object that is in memory.
    pub fn body(&self, chunks: VecDeque<Bytes>) -> SdkBody {
        fenced(chunks, self.options.fence.clone())
    }

    pub fn metadata(&self) -> Option<HashMap<String, String>> {
        let marker = self.options.marker.clone()?;
        Some([(MARKER.to_owned(), marker)].into())
    }

    pub fn if_none_match(&self) -> Option<String> {
        self.options.must_not_exist.then(|| "*".to_owned())
    }

    /// COS has a header of its own for what others read from `If-None-Match: *`.
    pub fn forbid_overwrite(&self) -> impl Fn(&mut HttpRequest) + Send + Sync + use<> {
        let forbid = self.options.must_not_exist && self.backend.is_cos();
        move |request| {
            if forbid {
                let headers = request.headers_mut();
                headers.insert("x-cos-forbid-overwrite", "true");
            }
        }
    }

    /// See [`refused`].
    pub async fn refused<E>(&self, error: SdkError<E, HttpResponse>) -> BackendError
    where
        E: ProvideErrorMetadata + StdError + Send + Sync + 'static,
    {
        let is_conflict = is_conflict(&error);
        let error = backend_error("put", &error);
        let must_not_exist = self.options.must_not_exist;
        refused(&self.backend, &self.key, must_not_exist, is_conflict, error).await
    }
}

/// `Timeout` where `request` takes longer than `limit`.
pub async fn within<T>(
    limit: Duration,
    operation: &'static str,
    request: impl Future<Output = Result<T>>,
) -> Result<T> {
    match tokio::time::timeout(limit, request).await {
        Ok(result) => result,
        Err(_) => Err(BackendError::new(ErrorKind::Timeout, operation)),
    }
}
