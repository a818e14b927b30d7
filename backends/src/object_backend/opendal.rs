//! S3 and what speaks it, COS and OSS through OpenDAL.
//!
//! - A download is one request. Conditions travel with it, but for lists of entity tags and
//!   `If-None-Match: *`, which stores read differently: those cost a HEAD first.
//! - Where COS or OSS keep versions, they overwrite an object also where it must not exist.
//! - Keys that OpenDAL would rewrite (it trims spaces and empty segments) are `InvalidKey`: what
//!   was asked for is what is stored, or nothing.

mod error;
mod meta;
mod services;
mod transport;
mod upload;

use std::collections::HashMap;
use std::ops::Range;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::{self, BoxStream, StreamExt};
use opendal::options::WriteOptions;
use opendal::raw::normalize_path;
use opendal::{Buffer, BufferStream, BytesRange, Operator};

use self::error::{backend_error, is_answer};
use self::meta::{object_meta, reader_options};
use self::transport::SILENCE;
use self::upload::OpendalUpload;
use super::download::{self, Storage, outside};
use super::{
    ByteRange, Capabilities, Conditions, GetOptions, GetResult, MARKER, ObjectBackend, ObjectMeta,
    PutOptions, Upload,
};
use crate::error::{BackendError, ErrorKind, Result};
use crate::settings::BucketSettings;

/// A key that nobody stores: asking for it tells whether storage is there.
const PROBE: &str = ".asset-gateway-ping";

/// A bucket at an object store.
#[derive(Clone)]
pub struct OpendalBackend {
    operator: Operator,
}

impl OpendalBackend {
    /// Asks nobody. The error is for the operator: it says what to change.
    pub fn open(settings: &BucketSettings) -> Result<Self, String> {
        services::operator(settings).map(|operator| Self { operator })
    }
}

#[async_trait]
impl Storage for OpendalBackend {
    async fn stat(&self, operation: &'static str, key: &str) -> Result<ObjectMeta> {
        let stat = self.operator.stat(key).await;
        let metadata = stat.map_err(|error| backend_error(operation, error))?;
        Ok(object_meta(&metadata))
    }

    async fn ask(
        &self,
        key: &str,
        sent: Conditions,
        range: Option<ByteRange>,
    ) -> Result<GetResult> {
        let error = |error| backend_error("get", error);
        let wanted = match range {
            None => BytesRange::new(0, None),
            // One byte past u64::MAX exists nowhere.
            Some(ByteRange::From { first, last }) => {
                let size = last.map(|last| last.saturating_sub(first).saturating_add(1));
                BytesRange::new(first, size)
            }
            Some(ByteRange::Suffix { length }) => BytesRange::suffix(length),
        };
        let reader = self
            .operator
            .reader_options(key, reader_options(sent))
            .await;
        let reader = reader.map_err(error)?;
        let mut body = reader.into_stream(wanted).await.map_err(error)?;
        let metadata = body.metadata().await.map_err(error)?;
        let meta = object_meta(&metadata);
        let size = meta.size;
        let range = match range {
            None => None,
            Some(range) => Some(range.resolve(size).ok_or_else(|| outside(Some(size)))?),
        };
        let span = range.clone().unwrap_or(0..size);
        Ok(GetResult {
            meta,
            range,
            body: pieces(body, span),
        })
    }
}

/// OpenDAL rewrites paths: a key that it would change names another object.
fn check_key(operation: &'static str, key: &str) -> Result<()> {
    if key.is_empty() || key.ends_with('/') || normalize_path(key) != key {
        return Err(BackendError::with_source(
            ErrorKind::InvalidKey,
            operation,
            "a key with spaces at its ends, empty segments or a slash at its end",
        ));
    }
    Ok(())
}

/// Exactly the bytes of `span`, or an error.
fn pieces(body: BufferStream, span: Range<u64>) -> BoxStream<'static, Result<Bytes>> {
    let left = span.end - span.start;
    let state = (body, Buffer::new(), left);
    stream::try_unfold(state, |(mut body, mut buffer, left)| async move {
        if left == 0 {
            // Nothing is asked for beyond the last byte: OpenDAL counts a range that ends beyond
            // the object as cut short.
            return Ok(None);
        }
        loop {
            if let Some(mut piece) = Iterator::next(&mut buffer) {
                // More than was announced cannot be sent.
                piece.truncate(usize::try_from(left).unwrap_or(usize::MAX));
                let left = left - piece.len() as u64;
                return Ok(Some((piece, (body, buffer, left))));
            }
            let Ok(next) = tokio::time::timeout(SILENCE, body.next()).await else {
                return Err(BackendError::new(ErrorKind::Timeout, "get"));
            };
            buffer = match next {
                Some(read) => read.map_err(|error| backend_error("get", error))?,
                None => {
                    return Err(BackendError::with_source(
                        ErrorKind::Upstream,
                        "get",
                        "storage ended the body early",
                    ));
                }
            };
        }
    })
    .boxed()
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
            ends_with_the_process: false,
        }
    }

    async fn head(&self, key: &str, options: &GetOptions) -> Result<ObjectMeta> {
        check_key("head", key)?;
        download::head(self, key, options).await
    }

    async fn get(&self, key: &str, options: &GetOptions) -> Result<GetResult> {
        check_key("get", key)?;
        download::get(self, key, options).await
    }

    async fn put(&self, key: &str, options: PutOptions) -> Result<Box<dyn Upload>> {
        check_key("put", key)?;
        let write = WriteOptions {
            content_type: Some(options.kept_type()),
            content_encoding: options.content_encoding.clone(),
            if_not_exists: options.must_not_exist,
            user_metadata: options
                .marker
                .filter(|_| self.capabilities().markers)
                .map(|marker| HashMap::from([(MARKER.to_owned(), marker)])),
            ..WriteOptions::default()
        };
        let writer = self.operator.writer_options(key, write).await;
        let writer = writer.map_err(|error| backend_error("put", error))?;
        Ok(Box::new(OpendalUpload::new(
            self.clone(),
            key.to_owned(),
            writer,
            options.must_not_exist,
            options.content_length,
        )))
    }

    async fn delete(&self, key: &str) -> Result<()> {
        check_key("delete", key)?;
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
