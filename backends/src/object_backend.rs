//! The port to object storage.
//!
//! - [`upload`]: [`PutOptions`], [`Upload`], [`Fence`], [`Recorder`].
//! - [`fs`], [`memory`]: buckets in a folder and in memory, in every build.
//! - `opendal`, `aws` (features of the same names): object stores, through a client library each.
//! - `remote`: what the adapters of object stores share; `multipart`: the driver of their multipart
//!   uploads.
//! - `conditions`: conditions of RFC 9110 §13; `part_buffer`: chunks of an upload until they are worth
//!   a request or a system call; `content_coding`: codings that readers undo.

#[cfg(feature = "aws")]
pub mod aws;
mod conditions;
mod content_coding;
pub mod fs;
pub mod memory;
#[cfg(any(feature = "opendal", feature = "aws"))]
mod multipart;
#[cfg(feature = "opendal")]
pub mod opendal;
mod part_buffer;
#[cfg(any(feature = "opendal", feature = "aws"))]
mod remote;
pub mod upload;

use std::ops::Range;
use std::time::SystemTime;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::BoxStream;

use crate::error::Result;

pub use self::upload::{Fence, PutOptions, Recorder, Stored, UNKNOWN_TYPE, Upload};
pub use conditions::evaluate as evaluate_conditions;
pub use content_coding::AWS_CHUNKED;
#[cfg(any(feature = "opendal", feature = "aws"))]
pub use remote::clouds;
#[cfg(all(feature = "conformance", any(feature = "opendal", feature = "aws")))]
#[doc(hidden)]
pub use remote::test_resolver::with_names_resolved_to;

/// Name of the user metadata that holds [`PutOptions::marker`] at object stores.
#[cfg(any(feature = "opendal", feature = "aws"))]
const MARKER: &str = "ag-upload";

/// Metadata of an object.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ObjectMeta {
    /// Bytes of the whole object, also where a range was requested. `None` where storage does not tell
    /// and only the end of the body shows it.
    pub size: Option<u64>,
    /// Entity tag without quotes. A weak one keeps its `W/` prefix and then its quotes.
    pub etag: Option<String>,
    /// `Last-Modified`.
    pub last_modified: Option<SystemTime>,
    /// `Content-Type`.
    pub content_type: Option<String>,
    /// `Cache-Control`.
    pub cache_control: Option<String>,
    /// Codings that readers undo, as `Content-Encoding` lists them. Never [`AWS_CHUNKED`].
    pub content_encoding: Option<String>,
    /// `Content-Language`.
    pub content_language: Option<String>,
    /// The [`PutOptions::marker`] of the upload, where the backend stores markers.
    pub marker: Option<String>,
}

/// A byte range (RFC 9110 §14.1.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ByteRange {
    /// `first-` or `first-last`: both counted from 0, `last` included.
    From {
        /// First byte.
        first: u64,
        /// Last byte; `None`: the last byte of the object.
        last: Option<u64>,
    },
    /// `-length`: the last `length` bytes.
    Suffix {
        /// Number of bytes.
        length: u64,
    },
}

impl ByteRange {
    /// The bytes of an object of `size` that the range selects; `None` where it lies outside.
    pub fn resolve(self, size: u64) -> Option<Range<u64>> {
        match self {
            Self::From { first, last } => {
                let end = last.map_or(size, |last| size.min(last.saturating_add(1)));
                (first < size && first < end).then_some(first..end)
            }
            Self::Suffix { length } => {
                (length > 0 && size > 0).then(|| size.saturating_sub(length)..size)
            }
        }
    }
}

/// Conditions (RFC 9110 §13). The entity-tag fields hold the list as the client sent it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Conditions {
    /// `If-Match`.
    pub if_match: Option<String>,
    /// `If-None-Match`.
    pub if_none_match: Option<String>,
    /// `If-Modified-Since`.
    pub if_modified_since: Option<SystemTime>,
    /// `If-Unmodified-Since`.
    pub if_unmodified_since: Option<SystemTime>,
}

impl Conditions {
    /// No condition is set.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Range and conditions of a [`get`](ObjectBackend::get) or [`head`](ObjectBackend::head).
#[derive(Debug, Clone, Default)]
pub struct GetOptions {
    /// `None` = the whole object.
    pub range: Option<ByteRange>,
    /// All of them have to hold.
    pub conditions: Conditions,
}

/// An object, or a range of it, with a body to read.
pub struct GetResult {
    /// Metadata of the whole object.
    pub meta: ObjectMeta,
    /// The bytes in `body`. `None` = the whole object, also where storage ignores a requested range
    /// (RFC 9110 §14.2).
    pub range: Option<Range<u64>>,
    /// Chunks in order, read at the reader's pace: an adapter buffers a bounded number of bytes.
    pub body: BoxStream<'static, Result<Bytes>>,
}

impl GetResult {
    /// Bytes in `body`; `None` where only its end shows it.
    pub fn content_length(&self) -> Option<u64> {
        match &self.range {
            Some(range) => Some(range.end - range.start),
            None => self.meta.size,
        }
    }
}

/// What a backend can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capabilities {
    /// [`PutOptions::marker`] comes back as [`ObjectMeta::marker`].
    pub markers: bool,
    /// [`PutOptions::must_not_exist`] is decided atomically.
    pub exclusive_create: bool,
    /// [`PutOptions::content_encoding`] comes back.
    pub content_encoding: bool,
    /// [`PutOptions::content_language`] comes back.
    pub content_language: bool,
    /// After a process has died, none of its uploads becomes visible. Remote storage may still carry
    /// out a request of a dead process.
    pub writes_end_with_process: bool,
    /// [`ObjectBackend::fence_off`] works.
    pub fences_off: bool,
}

/// A bucket.
///
/// ```text
///   put ─▶ Upload ─ finish ─▶ visible ─ delete ─▶ missing
///            │ └─── abort ──▶ missing, or the object that was there before
///            └ the writer dies: recovery calls abort_upload, fence_off and head; sweep removes
///              temporary files
/// ```
///
/// | call | durable when it returns | idempotent | dropping its future |
/// | --- | --- | --- | --- |
/// | `head`, `get`, `ping` | changes nothing | yes | gives up the request |
/// | `put` | no: see [`Upload`] | no: begins another upload | changes nothing visible; see [`Upload`] |
/// | `delete` | yes | yes | the object may be deleted or not |
/// | `abort_upload`, `fence_off`, `sweep` | yes | yes | call again |
///
/// Durable is what survives the death of the process; on `fs` it survives a power cut, too. `memory` is
/// for tests and keeps nothing.
///
/// - Every call may be made from many tasks at once. Dropping a body stream gives up its request.
/// - A missing object is [`NotFound`](crate::ErrorKind::NotFound).
/// - Conditions are evaluated in the order of RFC 9110 §13.2.2, before the range.
///
/// # Remote storage
///
/// A HEAD or GET that storage did not begin to answer is sent again: at most twice, after 0.1 s and
/// 0.5 s on average or after storage's `Retry-After` up to 2 s, and within 30 s altogether. Storage did
/// not begin to answer where it is busy (503, 429, a passing conflict), where the connection could not
/// be made or broke before the first byte of the response, and where a proxy answers 502 or 504. Any
/// other response is final, and a body that has begun is not requested again.
///
/// A storage that is busy gives [`Busy`](crate::ErrorKind::Busy). A response that contradicts itself or
/// the request is [`Upstream`](crate::ErrorKind::Upstream): another range than the requested one
/// (RFC 9110 §15.3.7), a failed condition that was not set. An HTML page of a proxy is no object, and
/// its 404 no missing one. A header that describes the object and cannot be parsed is left out.
#[async_trait]
pub trait ObjectBackend: Send + Sync {
    /// What the backend supports. Never changes.
    fn capabilities(&self) -> Capabilities;

    /// Refuses a key that the bucket cannot hold, as far as that is known without a request: a token
    /// for an impossible key is refused when it is made.
    ///
    /// [`head`](Self::head), [`get`](Self::get) and [`put`](Self::put) accept and refuse the same keys,
    /// with [`InvalidKey`](crate::ErrorKind::InvalidKey) and a
    /// [`BackendError::reason`](crate::BackendError::reason) for clients. Besides, they refuse a key that
    /// something in storage is in the way of: a file in place of a folder, a link that leads out.
    fn check_key(&self, key: &str) -> Result<()>;

    /// Metadata of the object. The conditions of `options` hold; its range is ignored.
    async fn head(&self, key: &str, options: &GetOptions) -> Result<ObjectMeta>;

    /// The object or a range of it, in one request to storage, but for the repeats above.
    /// [`RangeNotSatisfiable`](crate::ErrorKind::RangeNotSatisfiable) where the range lies outside.
    async fn get(&self, key: &str, options: &GetOptions) -> Result<GetResult>;

    /// Begins an upload. May send a request, or wait for the first bytes.
    async fn put(&self, key: &str, options: PutOptions) -> Result<Box<dyn Upload>>;

    /// Deletes the object. A missing one is a success.
    async fn delete(&self, key: &str) -> Result<()>;

    /// Whether storage can be reached. Any response of storage is a success, a refusal too.
    async fn ping(&self) -> Result<()>;

    /// Aborts a multipart upload whose writer died, by the id that a [`Recorder`] was given: no part
    /// stays. An upload that is gone is a success.
    async fn abort_upload(&self, _key: &str, _reference: &str) -> Result<()> {
        Ok(())
    }

    /// Keeps an upload with this [`PutOptions::marker`] from becoming visible from now on, whoever
    /// writes it. Whether it became visible before is for a [`head`](Self::head) after this call to
    /// tell. Does nothing where [`Capabilities::fences_off`] is false; multipart uploads are fenced off
    /// by [`abort_upload`](Self::abort_upload).
    async fn fence_off(&self, _marker: &str) -> Result<()> {
        Ok(())
    }

    /// Removes temporary files that earlier processes left and nobody can finish. Called once at
    /// start.
    async fn sweep(&self) -> Result<()> {
        Ok(())
    }
}
