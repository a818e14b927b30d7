//! S3 and what speaks it, COS and OSS through OpenDAL.
//!
//! - A download is one request, which OpenDAL signs ([`signature`] signs for OSS);
//!   [`response`](super::remote::response) reads the response. Lists of entity tags and `If-None-Match: *` cost a HEAD first: stores read them
//!   differently.
//! - An upload is one request, or a multipart upload past 8 MiB ([`multipart`]).
//! - A key that OpenDAL would rewrite (it trims blanks and empty segments) is `InvalidKey`.
//! - A COS or OSS bucket with versions overwrites an object also where it must not exist.

mod error;
mod multipart;
mod reader_options;
mod services;
mod signature;
mod transport;

use std::collections::HashMap;

use async_trait::async_trait;
use opendal::options::WriteOptions;
use opendal::{BytesRange, Operator};

use self::error::{backend_error, is_response};
use self::multipart::OpendalMultipart;
use self::reader_options::reader_options;
use super::multipart::MultipartDriver;
use super::remote::clouds::object_key::check_key;
use super::remote::clouds::{Route, SettingsError, route_to};
use super::remote::download::{self, ObjectRequests};
use super::remote::response::ObjectResponse;
use super::remote::response::capture::{Captured, capture};
use super::{
    ByteRange, Capabilities, Conditions, GetOptions, GetResult, MARKER, ObjectBackend, ObjectMeta,
    PutOptions, Upload,
};
use crate::error::{BackendError, ErrorKind, Result};
use crate::settings::{Adapter, BucketSettings};

/// A key that is never stored: a HEAD of it tells whether storage can be reached.
const PING_KEY: &str = ".asset-gateway-ping";

/// A bucket at an object store.
#[derive(Clone)]
pub struct OpendalBackend {
    operator: Operator,
    route: &'static Route,
}

impl OpendalBackend {
    /// Refuses what [`open`](Self::open) refuses because of the settings.
    pub fn check_settings(settings: &BucketSettings) -> Result<(), SettingsError> {
        services::service(settings).map(drop)
    }

    /// Sends no request. The error tells the operator what to change.
    pub fn open(settings: &BucketSettings) -> Result<Self, SettingsError> {
        Ok(Self {
            operator: services::operator(settings)?,
            route: route_to(settings.provider, Adapter::Opendal)?,
        })
    }
}

#[async_trait]
impl ObjectRequests for OpendalBackend {
    async fn head_object(&self, key: &str) -> Result<ObjectResponse> {
        captured("head", capture(self.operator.stat(key)).await)
    }

    async fn get_object(
        &self,
        key: &str,
        conditions: &Conditions,
        range: Option<ByteRange>,
    ) -> Result<ObjectResponse> {
        let wanted = match range {
            None => BytesRange::new(0, None),
            // No object has a byte past u64::MAX.
            Some(ByteRange::From { first, last }) => {
                let size = last.map(|last| last.saturating_sub(first).saturating_add(1));
                BytesRange::new(first, size)
            }
            Some(ByteRange::Suffix { length }) => BytesRange::suffix(length),
        };
        let sent = async {
            let options = reader_options(conditions);
            let reader = self.operator.reader_options(key, options).await?;
            // Sends the request.
            reader.into_stream(wanted).await?.metadata().await
        };
        captured("get", capture(sent).await)
    }
}

/// The response that the transport received, or the reason why OpenDAL sent no request.
fn captured<T>(
    operation: &'static str,
    (result, response): Captured<opendal::Result<T>>,
) -> Result<ObjectResponse> {
    match (response, result) {
        (Some(response), _) => response,
        (None, Err(error)) => Err(backend_error(operation, error)),
        (None, Ok(_)) => Err(BackendError::with_source(
            ErrorKind::Upstream,
            operation,
            "OpenDAL sent no request",
        )),
    }
}

impl OpendalBackend {
    fn check(&self, operation: &'static str, key: &str) -> Result<()> {
        check_key(self.route, operation, key)
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
            // OpenDAL has no option for it.
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
        match self.operator.stat(PING_KEY).await {
            Err(error) if !is_response(&error) => Err(backend_error("ping", error)),
            Ok(_) | Err(_) => Ok(()),
        }
    }
}
