//! S3 and what speaks it, COS' S3 interface included, through aws-sdk-s3.
//!
//! - A download is one request. Conditions travel with it, but for lists of entity tags and
//!   `If-None-Match: *`, which stores read differently: those cost a HEAD first.
//! - An upload of a known length is one request too, and its bytes go to storage as they come. Of
//!   unknown length, and past 5 GiB, it goes in parts.
//! - Keys come from where the configuration says, see [`credentials`]. Without keys requests are
//!   not signed.
//! - Where COS keeps versions, it overwrites an object also where it must not exist.

mod body;
mod client;
mod credentials;
mod download;
mod error;
mod http;
mod meta;
mod multipart;
mod single;
mod target;
mod upload;

use std::sync::Arc;

use async_trait::async_trait;

use self::client::{Clients, SILENCE};
use self::error::{backend_error, is_answer, strange};
use self::meta::{date, of_head, range_header};
use self::single::SinglePut;
use self::target::{Target, within};
use self::upload::PartedUpload;
use super::download::{self as shared, Storage};
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
    is_cos: bool,
}

impl AwsBackend {
    /// Asks nobody. The error is for the operator: it says what to change.
    pub fn open(settings: &BucketSettings) -> Result<Self, String> {
        Ok(Self {
            clients: Clients::new(settings)?,
            bucket: settings.bucket.as_str().into(),
            is_cos: settings.provider == Provider::Cos,
        })
    }
}

/// What addresses cannot carry, or what stores take for a folder, names no object.
fn check_key(operation: &'static str, key: &str) -> Result<()> {
    let is_step = |segment| matches!(segment, "." | "..");
    if key.is_empty() || key.ends_with('/') || key.split('/').any(is_step) {
        return Err(BackendError::with_source(
            ErrorKind::InvalidKey,
            operation,
            "an empty key, one with a slash at its end or with `.` or `..` between slashes",
        ));
    }
    Ok(())
}

#[async_trait]
impl Storage for AwsBackend {
    async fn stat(&self, operation: &'static str, key: &str) -> Result<ObjectMeta> {
        let request = self.clients.again.head_object();
        let answer = request.bucket(&*self.bucket).key(key).send().await;
        let answer = answer.map_err(|error| backend_error(operation, &error))?;
        of_head(&answer)
            .ok_or_else(|| strange(operation, "storage does not say how long the object is"))
    }

    async fn ask(
        &self,
        key: &str,
        sent: Conditions,
        range: Option<ByteRange>,
    ) -> Result<GetResult> {
        let request = self.clients.once.get_object();
        let request = request
            .bucket(&*self.bucket)
            .key(key)
            .set_range(range.map(range_header))
            .set_if_match(sent.if_match)
            .set_if_none_match(sent.if_none_match)
            .set_if_modified_since(sent.if_modified_since.map(date))
            .set_if_unmodified_since(sent.if_unmodified_since.map(date));
        let answer = async {
            let answer = request.send().await;
            answer.map_err(|error| backend_error("get", &error))
        };
        download::result(within(SILENCE, "get", answer).await?, range)
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
            ends_with_the_process: false,
        }
    }

    async fn head(&self, key: &str, options: &GetOptions) -> Result<ObjectMeta> {
        check_key("head", key)?;
        shared::head(self, key, options).await
    }

    async fn get(&self, key: &str, options: &GetOptions) -> Result<GetResult> {
        check_key("get", key)?;
        shared::get(self, key, options).await
    }

    async fn put(&self, key: &str, options: PutOptions) -> Result<Box<dyn Upload>> {
        check_key("put", key)?;
        let announced = options.content_length;
        let target = Target {
            backend: self.clone(),
            key: key.to_owned(),
            options,
        };
        Ok(match announced {
            Some(length) if length <= LARGEST_PUT => Box::new(SinglePut::new(target, length)),
            Some(_) | None => Box::new(PartedUpload::new(target)),
        })
    }

    async fn delete(&self, key: &str) -> Result<()> {
        check_key("delete", key)?;
        let request = self.clients.again.delete_object();
        let answer = request.bucket(&*self.bucket).key(key).send().await;
        match answer.map_err(|error| backend_error("delete", &error)) {
            Err(error) if error.kind != ErrorKind::NotFound => Err(error),
            Ok(_) | Err(_) => Ok(()),
        }
    }

    async fn abort_upload(&self, key: &str, reference: &str) -> Result<()> {
        check_key("abort", key)?;
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
