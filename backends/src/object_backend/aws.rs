//! S3 and what speaks it, COS' S3 interface included, through aws-sdk-s3.
//!
//! - A download is one request, unless storage did not begin to answer. The SDK signs it; its
//!   answer is read in [`response`](super::remote::response). Conditions travel with it, but for lists of entity tags and
//!   `If-None-Match: *`, which stores read differently: those cost a HEAD first.
//! - An upload of a known length is one request too, and its bytes go to storage as they come. Of
//!   unknown length, and past 5 GiB, it goes in parts.
//! - Keys come from where the configuration says, see [`credentials`]. Without keys requests are
//!   not signed.
//! - Where COS keeps versions, it overwrites an object also where it must not exist.

mod clients;
mod credentials;
mod error;
mod header_values;
mod http_client;
mod multipart;
mod request_body;
mod single_put;
mod upload_target;

use std::error::Error as StdError;
use std::sync::Arc;

use async_trait::async_trait;
use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};

use self::clients::Clients;
use self::error::{backend_error, invalid_response, is_answer};
use self::header_values::{date, range_header};
use self::multipart::AwsMultipart;
use self::single_put::SinglePut;
use self::upload_target::UploadTarget;
use super::multipart::MultipartDriver;
use super::remote::download::{self, Storage};
use super::remote::object_key as key_rules;
use super::remote::response::Answer;
use super::remote::response::capture::{Captured, capture};
use super::{
    ByteRange, Capabilities, Conditions, GetOptions, GetResult, ObjectBackend, ObjectMeta,
    PutOptions, Upload,
};
use crate::error::{BackendError, ErrorKind, Result};
use crate::settings::{BucketSettings, Provider};

/// Bytes of the largest object that one request can carry, at every provider.
const LARGEST_PUT: u64 = 5 * 1024 * 1024 * 1024;

/// A bucket at an object store.
#[derive(Clone)]
pub struct AwsBackend {
    clients: Clients,
    bucket: Arc<str>,
    provider: Provider,
}

impl AwsBackend {
    /// What [`open`](Self::open) refuses for a reason that stands in the settings, or in a file that
    /// they name.
    pub fn check_settings(settings: &BucketSettings) -> Result<(), String> {
        clients::check(settings)
    }

    /// Asks nobody. The error is for the operator: it says what to change.
    pub fn open(settings: &BucketSettings) -> Result<Self, String> {
        Ok(Self {
            clients: Clients::new(settings)?,
            bucket: settings.bucket.as_str().into(),
            provider: settings.provider,
        })
    }
}

impl AwsBackend {
    fn is_cos(&self) -> bool {
        self.provider == Provider::Cos
    }

    fn check(&self, operation: &'static str, key: &str) -> Result<()> {
        key_rules::check(self.provider, operation, key)
    }
}

#[async_trait]
impl Storage for AwsBackend {
    async fn stat(&self, key: &str) -> Result<Answer> {
        let request = self.clients.once.head_object();
        let asking = request.bucket(&*self.bucket).key(key).send();
        taken("head", capture(asking).await)
    }

    async fn ask(&self, key: &str, sent: &Conditions, range: Option<ByteRange>) -> Result<Answer> {
        let request = self.clients.once.get_object();
        let asking = request
            .bucket(&*self.bucket)
            .key(key)
            .set_range(range.map(range_header))
            .set_if_match(sent.if_match.clone())
            .set_if_none_match(sent.if_none_match.clone())
            .set_if_modified_since(sent.if_modified_since.map(date))
            .set_if_unmodified_since(sent.if_unmodified_since.map(date))
            .send();
        taken("get", capture(asking).await)
    }
}

/// What the HTTP client was answered; else why the SDK has asked nothing.
fn taken<T, E>(
    operation: &'static str,
    (result, answer): Captured<Result<T, SdkError<E, HttpResponse>>>,
) -> Result<Answer>
where
    E: ProvideErrorMetadata + StdError + 'static,
{
    match (answer, result) {
        (Some(answer), _) => answer,
        (None, Err(error)) => Err(backend_error(operation, &error)),
        (None, Ok(_)) => Err(invalid_response(operation, "the SDK has asked nothing")),
    }
}

#[async_trait]
impl ObjectBackend for AwsBackend {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            markers: true,
            exclusive_create: true,
            content_encoding: true,
            content_language: true,
            writes_end_with_process: false,
            fences_off: false,
        }
    }

    fn check_key(&self, key: &str) -> Result<()> {
        self.check("check_key", key)
    }

    async fn head(&self, key: &str, options: &GetOptions) -> Result<ObjectMeta> {
        self.check("head", key)?;
        download::head(self, key, options).await
    }

    async fn get(&self, key: &str, options: &GetOptions) -> Result<GetResult> {
        self.check("get", key)?;
        download::get(self, key, options).await
    }

    async fn put(&self, key: &str, options: PutOptions) -> Result<Box<dyn Upload>> {
        self.check("put", key)?;
        let target = UploadTarget {
            backend: self.clone(),
            key: key.to_owned(),
            options: options.clone(),
        };
        Ok(match options.content_length {
            Some(length) if length <= LARGEST_PUT => Box::new(SinglePut::new(target, length)),
            Some(_) | None => Box::new(MultipartDriver::new(AwsMultipart::new(target), &options)),
        })
    }

    async fn delete(&self, key: &str) -> Result<()> {
        self.check("delete", key)?;
        let request = self.clients.again.delete_object();
        let answer = request.bucket(&*self.bucket).key(key).send().await;
        match answer.map_err(|error| backend_error("delete", &error)) {
            Err(error) if error.kind != ErrorKind::NotFound => Err(error),
            Ok(_) | Err(_) => Ok(()),
        }
    }

    async fn abort_upload(&self, key: &str, reference: &str) -> Result<()> {
        self.check("abort", key)?;
        multipart::abort(self, key, reference).await
    }

    async fn ping(&self) -> Result<()> {
        let request = self.clients.again.head_bucket();
        match request.bucket(&*self.bucket).send().await {
            // Without an answer it is away, also where only the keys for the question are missing.
            Err(error) if !is_answer(&error) => {
                let error = backend_error("ping", &error);
                Err(BackendError::with_source(
                    ErrorKind::Unavailable,
                    "ping",
                    error,
                ))
            }
            Ok(_) | Err(_) => Ok(()),
        }
    }
}
