//! S3 and what speaks it, COS' S3 interface included, through aws-sdk-s3.
//!
//! - A download is one request, which the SDK signs; [`response`](super::remote::response) reads the
//!   response. Lists of entity tags and `If-None-Match: *` cost a HEAD first: stores read them
//!   differently.
//! - An upload of a known length is one request that streams ([`single_put`]). One of unknown length, or
//!   past 5 GiB, is a multipart upload ([`multipart`]).
//! - [`credentials`] are keys, a file that is read again, or Amazon's default chain. Without keys
//!   requests are not signed.
//! - A COS bucket with versions overwrites an object also where it must not exist.

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
use self::error::{backend_error, invalid_response, is_response};
use self::header_values::{date, range_header};
use self::multipart::AwsMultipart;
use self::single_put::SinglePut;
use self::upload_target::UploadTarget;
use super::multipart::MultipartDriver;
use super::remote::clouds::object_key::check_key;
use super::remote::clouds::{Route, SettingsError, route_to};
use super::remote::download::{self, ObjectRequests};
use super::remote::response::ObjectResponse;
use super::remote::response::capture::{Captured, capture};
use super::{
    ByteRange, Capabilities, Conditions, GetOptions, GetResult, ObjectBackend, ObjectMeta,
    PutOptions, Upload,
};
use crate::error::{BackendError, ErrorKind, Result};
use crate::settings::{Adapter, BucketSettings, Provider};

/// The limit of a single PUT request at every provider.
const MAX_PUT_BYTES: u64 = 5 * 1024 * 1024 * 1024;

/// A bucket at an object store.
#[derive(Clone)]
pub struct AwsBackend {
    clients: Clients,
    bucket: Arc<str>,
    route: &'static Route,
}

impl AwsBackend {
    /// Refuses what [`open`](Self::open) refuses because of the settings, or of a file that they name.
    pub fn check_settings(settings: &BucketSettings) -> Result<(), SettingsError> {
        clients::check(settings)
    }

    /// Sends no request. The error tells the operator what to change.
    pub fn open(settings: &BucketSettings) -> Result<Self, SettingsError> {
        Ok(Self {
            clients: Clients::new(settings)?,
            bucket: settings.bucket.as_str().into(),
            route: route_to(settings.provider, Adapter::Aws)?,
        })
    }
}

impl AwsBackend {
    fn is_cos(&self) -> bool {
        self.route.provider == Provider::Cos
    }

    fn check(&self, operation: &'static str, key: &str) -> Result<()> {
        check_key(self.route, operation, key)
    }
}

#[async_trait]
impl ObjectRequests for AwsBackend {
    async fn head_object(&self, key: &str) -> Result<ObjectResponse> {
        let request = self.clients.once.head_object();
        let sent = request.bucket(&*self.bucket).key(key).send();
        captured("head", capture(sent).await)
    }

    async fn get_object(
        &self,
        key: &str,
        conditions: &Conditions,
        range: Option<ByteRange>,
    ) -> Result<ObjectResponse> {
        let request = self.clients.once.get_object();
        let sent = request
            .bucket(&*self.bucket)
            .key(key)
            .set_range(range.map(range_header))
            .set_if_match(conditions.if_match.clone())
            .set_if_none_match(conditions.if_none_match.clone())
            .set_if_modified_since(conditions.if_modified_since.map(date))
            .set_if_unmodified_since(conditions.if_unmodified_since.map(date))
            .send();
        captured("get", capture(sent).await)
    }
}

/// The response that the HTTP client received, or the reason why the SDK sent no request.
fn captured<T, E>(
    operation: &'static str,
    (result, response): Captured<Result<T, SdkError<E, HttpResponse>>>,
) -> Result<ObjectResponse>
where
    E: ProvideErrorMetadata + StdError + 'static,
{
    match (response, result) {
        (Some(response), _) => response,
        (None, Err(error)) => Err(backend_error(operation, &error)),
        (None, Ok(_)) => Err(invalid_response(operation, "the SDK sent no request")),
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
            Some(length) if length <= MAX_PUT_BYTES => Box::new(SinglePut::new(target, length)),
            Some(_) | None => Box::new(MultipartDriver::new(AwsMultipart::new(target), &options)),
        })
    }

    async fn delete(&self, key: &str) -> Result<()> {
        self.check("delete", key)?;
        let request = self.clients.again.delete_object();
        let response = request.bucket(&*self.bucket).key(key).send().await;
        match response.map_err(|error| backend_error("delete", &error)) {
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
            // Without a response storage is away, also where only the keys to sign with are missing.
            Err(error) if !is_response(&error) => {
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
