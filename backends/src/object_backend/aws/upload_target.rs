//! What an upload writes to, and what storage says when it becomes visible.

use std::collections::{HashMap, VecDeque};
use std::error::Error as StdError;
use std::time::Duration;

use aws_sdk_s3::config::http::{HttpRequest, HttpResponse};
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::primitives::{ByteStream, SdkBody};

use bytes::Bytes;

use super::AwsBackend;
use super::error::{backend_error, is_conflict, strange};
use super::request_body::fenced;
use crate::error::{BackendError, ErrorKind, Result};
use crate::object_backend::conditions::bare_etag;
use crate::object_backend::{GetOptions, MARKER, ObjectBackend, PutOptions, Stored, check_fence};

#[derive(Clone)]
pub struct Target {
    pub backend: AwsBackend,
    pub key: String,
    pub options: PutOptions,
}

impl Target {
    /// The whole object in one request, which is never repeated: the second try of a success says
    /// that the key is taken. Has no time limit. The `body` is one that looks at the fence.
    pub async fn put_object(&self, body: SdkBody, length: u64) -> Result<Stored> {
        let size = i64::try_from(length).map_err(|_| strange("put", "an object of that size"))?;
        let request = self.backend.clients.once.put_object();
        let answer = request
            .bucket(&*self.backend.bucket)
            .key(&self.key)
            .content_type(self.options.kept_type())
            .set_content_encoding(self.options.content_encoding.clone())
            .set_content_language(self.options.content_language.clone())
            .set_metadata(self.metadata())
            .set_if_none_match(self.if_none_match())
            .content_length(size)
            .body(ByteStream::new(body))
            .customize()
            .disable_payload_signing()
            .mutate_request(self.exclusively())
            .send()
            .await;
        match answer {
            Ok(answer) => self.stored(answer.e_tag(), length),
            Err(error) => Err(self.refusal(error).await),
        }
    }

    /// The object must not become visible any more.
    pub fn check_fence(&self) -> Result<()> {
        check_fence(self.options.fence.as_ref())
    }

    /// A whole object that is here.
    pub fn whole(&self, pieces: VecDeque<Bytes>) -> SdkBody {
        fenced(pieces, self.options.fence.clone())
    }

    pub fn metadata(&self) -> Option<HashMap<String, String>> {
        let marker = self.options.marker.clone()?;
        Some([(MARKER.to_owned(), marker)].into())
    }

    pub fn if_none_match(&self) -> Option<String> {
        self.options.must_not_exist.then(|| "*".to_owned())
    }

    /// COS has a header of its own for what others read from `If-None-Match: *`.
    pub fn exclusively(&self) -> impl Fn(&mut HttpRequest) + Send + Sync + use<> {
        let forbid = self.options.must_not_exist && self.backend.is_cos();
        move |request| {
            if forbid {
                let headers = request.headers_mut();
                headers.insert("x-cos-forbid-overwrite", "true");
            }
        }
    }

    /// An acknowledgement, if it has an entity tag: nothing else is storage's word.
    pub fn stored(&self, etag: Option<&str>, size: u64) -> Result<Stored> {
        let etag = etag.map(bare_etag).unwrap_or_default();
        match etag.is_empty() {
            false => Ok(Stored { etag, size }),
            true => Err(BackendError::with_source(
                ErrorKind::NoAnswer,
                "put",
                "storage gives the object no entity tag",
            )),
        }
    }

    /// Of uploads that race for a key, storage may answer the slower ones with "conflict" (S3:
    /// `ConditionalRequestConflict`): the key tells whether it is taken by now.
    pub async fn refusal<E>(&self, error: SdkError<E, HttpResponse>) -> BackendError
    where
        E: ProvideErrorMetadata + StdError + Send + Sync + 'static,
    {
        let must_not_exist = self.options.must_not_exist;
        let is_conflict = is_conflict(&error);
        let error = backend_error("put", &error).of_an_upload(must_not_exist);
        if !(must_not_exist && is_conflict) {
            return error;
        }
        match self.backend.head(&self.key, &GetOptions::default()).await {
            Ok(_) => BackendError::new(ErrorKind::PreconditionFailed, "put"),
            // What the look says is no answer to the upload.
            Err(_) => error,
        }
    }
}

/// `Timeout` where it takes longer.
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

/// What is left to say when an upload goes on after an error.
pub fn broken() -> BackendError {
    strange("put", "an earlier write of this upload failed")
}

/// A task of ours panicked or was aborted.
pub fn task_error(error: tokio::task::JoinError) -> BackendError {
    BackendError::with_source(ErrorKind::Upstream, "put", error)
}
