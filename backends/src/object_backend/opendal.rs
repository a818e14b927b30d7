//! S3 and what speaks it, COS and OSS through OpenDAL.
//!
//! - A download is one request, unless storage did not begin to answer. OpenDAL signs it; its
//!   answer is read in [`response`](super::remote::response). Conditions travel with it, but for lists of entity tags and
//!   `If-None-Match: *`, which stores read differently: those cost a HEAD first.
//! - Where COS or OSS keep versions, they overwrite an object also where it must not exist.
//! - Keys that OpenDAL would rewrite (it trims spaces and empty segments) are `InvalidKey`: what
//!   was asked for is what is stored, or nothing.

mod error;
mod multipart;
mod reader_options;
mod services;
mod transport;

use std::collections::HashMap;

use async_trait::async_trait;
use opendal::options::WriteOptions;
use opendal::raw::normalize_path;
use opendal::{BytesRange, Operator};

use self::error::{backend_error, is_answer};
use self::multipart::OpendalMultipart;
use self::reader_options::reader_options;
use super::multipart::MultipartDriver;
use super::remote::download::{self, Storage};
use super::remote::object_key as key_rules;
use super::remote::response::Answer;
use super::remote::response::capture::{Captured, capture};
use super::{
    ByteRange, Capabilities, Conditions, GetOptions, GetResult, MARKER, ObjectBackend, ObjectMeta,
    PutOptions, Upload,
};
use crate::error::{BackendError, ErrorKind, Result};
use crate::settings::{BucketSettings, Provider};

/// A key that nobody stores: asking for it tells whether storage is there.
const PROBE: &str = ".asset-gateway-ping";

/// A bucket at an object store.
#[derive(Clone)]
pub struct OpendalBackend {
    operator: Operator,
    provider: Provider,
}

impl OpendalBackend {
    /// What [`open`](Self::open) refuses for a reason that stands in the settings.
    pub fn check_settings(settings: &BucketSettings) -> Result<(), String> {
        services::service(settings).map(drop)
    }

    /// Asks nobody. The error is for the operator: it says what to change.
    pub fn open(settings: &BucketSettings) -> Result<Self, String> {
        Ok(Self {
            operator: services::operator(settings)?,
            provider: settings.provider,
        })
    }
}

#[async_trait]
impl Storage for OpendalBackend {
    async fn stat(&self, key: &str) -> Result<Answer> {
        taken("head", capture(self.operator.stat(key)).await)
    }

    async fn ask(&self, key: &str, sent: &Conditions, range: Option<ByteRange>) -> Result<Answer> {
        let wanted = match range {
            None => BytesRange::new(0, None),
            // One byte past u64::MAX exists nowhere.
            Some(ByteRange::From { first, last }) => {
                let size = last.map(|last| last.saturating_sub(first).saturating_add(1));
                BytesRange::new(first, size)
            }
            Some(ByteRange::Suffix { length }) => BytesRange::suffix(length),
        };
        let asking = async {
            let options = reader_options(sent);
            let reader = self.operator.reader_options(key, options).await?;
            // Sends the request.
            reader.into_stream(wanted).await?.metadata().await
        };
        taken("get", capture(asking).await)
    }
}

/// What the transport was answered; else why OpenDAL has asked nothing.
fn taken<T>(
    operation: &'static str,
    (result, answer): Captured<opendal::Result<T>>,
) -> Result<Answer> {
    match (answer, result) {
        (Some(answer), _) => answer,
        (None, Err(error)) => Err(backend_error(operation, error)),
        (None, Ok(_)) => Err(BackendError::with_source(
            ErrorKind::Upstream,
            operation,
            "OpenDAL has asked nothing",
        )),
    }
}

impl OpendalBackend {
    /// OpenDAL rewrites paths: a key that it would change names another object.
    fn check(&self, operation: &'static str, key: &str) -> Result<()> {
        key_rules::check(self.provider, operation, key)?;
        if key.trim() != key {
            return key_rules::refuse(operation, "a key with blanks at its ends");
        }
        match normalize_path(key) == key {
            true => Ok(()),
            false => key_rules::refuse(operation, "a key with `//` in it or a slash in front"),
        }
    }
}

#[async_trait]
impl ObjectBackend for OpendalBackend {
    fn capabilities(&self) -> Capabilities {
        let capability = self.operator.info().capability();
        Capabilities {
            markers: capability.write_with_user_metadata,
            exclusive_create: capability.write_with_if_not_exists,
            content_encoding: capability.write_with_content_encoding,
            // OpenDAL has no word for it.
            content_language: false,
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
        let write = WriteOptions {
            content_type: Some(options.stored_type()),
            content_encoding: options.content_encoding.clone(),
            if_not_exists: options.must_not_exist,
            user_metadata: options
                .marker
                .clone()
                .filter(|_| self.capabilities().markers)
                .map(|marker| HashMap::from([(MARKER.to_owned(), marker)])),
            ..WriteOptions::default()
        };
        let writer = self.operator.writer_options(key, write).await;
        let writer = writer
            .map_err(|error| backend_error("put", error).of_an_upload(options.must_not_exist))?;
        let requests = OpendalMultipart {
            backend: self.clone(),
            key: key.to_owned(),
            must_not_exist: options.must_not_exist,
            writer,
        };
        Ok(Box::new(MultipartDriver::new(requests, &options)))
    }

    async fn delete(&self, key: &str) -> Result<()> {
        self.check("delete", key)?;
        let deleted = self.operator.delete(key).await;
        deleted.map_err(|error| backend_error("delete", error))
    }

    async fn ping(&self) -> Result<()> {
        match self.operator.stat(PROBE).await {
            Err(error) if !is_answer(&error) => Err(backend_error("ping", error)),
            Ok(_) | Err(_) => Ok(()),
        }
    }
}
