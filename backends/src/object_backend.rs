//! The port to object storage.

#[cfg(feature = "aws")]
pub mod aws;
pub mod conditions;
mod content_coding;
mod fence;
pub mod fs;
pub mod memory;
#[cfg(any(feature = "opendal", feature = "aws"))]
mod multipart;
#[cfg(feature = "opendal")]
pub mod opendal;
mod part_buffer;
#[cfg(any(feature = "opendal", feature = "aws"))]
mod remote;
mod upload_error;

use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::time::SystemTime;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::BoxStream;

use self::fence::check_fence;
use crate::error::Result;

pub use self::fence::Fence;
pub use content_coding::AWS_CHUNKED;

/// Name of the user metadata that holds [`PutOptions::marker`] at object stores.
#[cfg(any(feature = "opendal", feature = "aws"))]
const MARKER: &str = "ag-upload";

/// The type of an object that was stored without one.
pub const UNKNOWN_TYPE: &str = "application/octet-stream";

/// What storage knows of an object.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ObjectMeta {
    /// Bytes of the whole object, also where a range was asked for. `None`: storage does not say;
    /// the body's end shows it.
    pub size: Option<u64>,
    /// Entity tag without quotes. A weak one keeps its `W/` prefix and then its quotes.
    pub etag: Option<String>,
    pub last_modified: Option<SystemTime>,
    pub content_type: Option<String>,
    pub cache_control: Option<String>,
    /// Codings that readers undo, as `Content-Encoding` lists them; never [`AWS_CHUNKED`].
    pub content_encoding: Option<String>,
    pub content_language: Option<String>,
    /// The [`PutOptions::marker`] that the object was written with, where the backend keeps one.
    pub marker: Option<String>,
}

/// One byte range as RFC 9110 §14.1.2 has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ByteRange {
    /// `first-` or `first-last`, both counted from 0, `last` included.
    From { first: u64, last: Option<u64> },
    /// `-length`: the last `length` bytes.
    Suffix { length: u64 },
}

impl ByteRange {
    /// The bytes of an object of `size` that this range means; `None` where it lies outside.
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

/// Conditions of RFC 9110 §13. Entity-tag fields hold the header's list as the client sent it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Conditions {
    pub if_match: Option<String>,
    pub if_none_match: Option<String>,
    pub if_modified_since: Option<SystemTime>,
    pub if_unmodified_since: Option<SystemTime>,
}

impl Conditions {
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

#[derive(Debug, Clone, Default)]
pub struct GetOptions {
    pub range: Option<ByteRange>,
    pub conditions: Conditions,
}

/// An object on its way out.
pub struct GetResult {
    pub meta: ObjectMeta,
    /// The bytes that `body` carries; `None` = the whole object, also where a range was asked for
    /// and storage takes no notice of ranges (RFC 9110 §14.2).
    pub range: Option<Range<u64>>,
    /// Pieces in order. Read at the reader's pace: an adapter buffers a bounded number of bytes.
    pub body: BoxStream<'static, Result<Bytes>>,
}

impl GetResult {
    /// Bytes that `body` carries; `None` where only its end shows it.
    pub fn content_length(&self) -> Option<u64> {
        match &self.range {
            Some(range) => Some(range.end - range.start),
            None => self.meta.size,
        }
    }
}

#[derive(Debug, Clone, Default)]
pub struct PutOptions {
    /// `None`: [`UNKNOWN_TYPE`] is kept.
    pub content_type: Option<String>,
    /// Comes back as [`ObjectMeta::content_encoding`], where
    /// [`Capabilities::content_encoding`] says so; must not be given elsewhere.
    pub content_encoding: Option<String>,
    /// The same of [`ObjectMeta::content_language`] and [`Capabilities::content_language`].
    pub content_language: Option<String>,
    /// Bytes that will come, where the client said so.
    pub content_length: Option<u64>,
    /// Refuse with [`PreconditionFailed`](crate::ErrorKind::PreconditionFailed) where the key is
    /// taken; decided at [`Upload::finish`] at the latest, atomically where storage can.
    pub must_not_exist: bool,
    /// A word that is kept with the object and comes back as [`ObjectMeta::marker`], so that an
    /// upload whose writer died can be told from another one on the same key.
    pub marker: Option<String>,
    /// Until when the object may become visible; `None` = always.
    pub fence: Option<Arc<dyn Fence>>,
    /// Is told what storage calls the upload, where it goes in parts and the backend can abort it
    /// later by that name.
    pub recorder: Option<Arc<dyn Recorder>>,
}

impl PutOptions {
    /// What to keep: of no type each storage would make its own.
    pub fn kept_type(&self) -> String {
        let sent = self.content_type.as_deref();
        sent.unwrap_or(UNKNOWN_TYPE).to_owned()
    }
}

/// Writes down what [`ObjectBackend::abort_upload`] needs once the writer has died.
#[async_trait]
pub trait Recorder: fmt::Debug + Send + Sync {
    /// Storage has begun an upload and calls it `reference`. Awaited before its first part is sent;
    /// an error ends the upload.
    async fn record(&self, reference: &str) -> Result<()>;
}

/// What storage said of a finished upload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// As [`ObjectMeta::etag`].
    pub etag: String,
    pub size: u64,
}

/// An upload under way. Nothing is visible under the key before [`finish`](Self::finish), and
/// what was there before stays.
///
/// Dropping it without `finish` or `abort` may leave parts or temporary files behind until the
/// backend's own clean-up; callers abort.
#[async_trait]
pub trait Upload: Send {
    /// Takes the next piece. Returns when there is room for another one.
    async fn write(&mut self, piece: Bytes) -> Result<()>;

    /// Makes the object visible, atomically, and durable against the process' death; not where
    /// [`PutOptions::fence`] is past. Between the last look at the fence and the deed there may be as
    /// much time as a process can be stopped for: see [`ObjectBackend::fence_off`].
    ///
    /// Acknowledged is what storage answers as S3 does: a success of this very call, with an entity
    /// tag. After an error nothing was stored, or it is unknown
    /// ([`NoAnswer`](crate::ErrorKind::NoAnswer), [`Timeout`](crate::ErrorKind::Timeout)):
    /// [`ObjectBackend::head`] and the marker tell. An upload is never
    /// [`NotFound`](crate::ErrorKind::NotFound), and
    /// [`PreconditionFailed`](crate::ErrorKind::PreconditionFailed) only with
    /// [`PutOptions::must_not_exist`].
    async fn finish(self: Box<Self>) -> Result<Stored>;

    /// Throws away what was written: no object, no part, no temporary file stays.
    async fn abort(self: Box<Self>) -> Result<()>;
}

/// What a backend can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capabilities {
    /// [`PutOptions::marker`] comes back.
    pub markers: bool,
    /// `must_not_exist` is decided atomically.
    pub exclusive_create: bool,
    /// [`PutOptions::content_encoding`] comes back.
    pub content_encoding: bool,
    /// [`PutOptions::content_language`] comes back.
    pub content_language: bool,
    /// What a process that died has asked for is done, or will never be. A remote storage may
    /// still make an object visible later.
    pub ends_with_the_process: bool,
    /// [`ObjectBackend::fence_off`] holds.
    pub fences_off: bool,
}

/// A bucket.
///
/// - Every method may be called from many tasks at once.
/// - Dropping a future or a body stream gives up the request; it changes nothing in storage.
/// - A missing object is [`NotFound`](crate::ErrorKind::NotFound).
/// - Conditions are judged in the order of RFC 9110 §13.2.2, before the range.
/// - A HEAD or GET to which a remote storage did not begin to answer is sent again, at most twice,
///   after 0.1 s and 0.5 s on average, or after what storage's `Retry-After` says up to 2 s, and
///   within 30 s altogether. It did not begin where it says that it is busy (503, 429; a conflict),
///   where the connection could not be made or broke before the first byte of the answer (a kept
///   one that was just closed), and where a proxy says 502 or 504. Any other answer stays, and a
///   body that has begun is not begun again.
/// - Storage that is busy is [`Busy`](crate::ErrorKind::Busy). An answer that contradicts itself or
///   what was asked is [`Upstream`](crate::ErrorKind::Upstream): another range than the one asked
///   for (RFC 9110 §15.3.7), an error that answers no condition that was set. A page of a proxy is
///   no object, and its 404 no missing one. A header that describes the object and cannot be read
///   is left out.
#[async_trait]
pub trait ObjectBackend: Send + Sync {
    fn capabilities(&self) -> Capabilities;

    /// Whether the bucket can hold an object under this key, as far as it can be said without asking
    /// storage: so that a token for an impossible key is refused when it is made.
    ///
    /// What it accepts, [`head`](Self::head), [`get`](Self::get) and [`put`](Self::put) accept. What
    /// it refuses they refuse as well, all with [`InvalidKey`](crate::ErrorKind::InvalidKey), and
    /// [`BackendError::reason`](crate::BackendError::reason) says why in words for clients. A key that
    /// something in storage is in the way of (a file where a folder has to be, a link that leads out)
    /// is for these calls to refuse.
    fn check_key(&self, key: &str) -> Result<()>;

    /// Metadata of the object. Conditions of `options` hold; its range is ignored.
    async fn head(&self, key: &str, options: &GetOptions) -> Result<ObjectMeta>;

    /// The object or a range of it, in one request to storage, unless storage did not begin to
    /// answer (see above).
    /// `RangeNotSatisfiable` where the range lies outside.
    async fn get(&self, key: &str, options: &GetOptions) -> Result<GetResult>;

    /// Begins an upload; may already ask storage for an upload id, or wait for the first bytes.
    async fn put(&self, key: &str, options: PutOptions) -> Result<Box<dyn Upload>>;

    /// Removes the object. One that is not there is a success.
    async fn delete(&self, key: &str) -> Result<()>;

    /// Asks whether storage can be reached. Any answer of it counts, a refusal too.
    async fn ping(&self) -> Result<()>;

    /// Ends an upload whose writer died, by the name that a [`Recorder`] was told: no part of it
    /// stays. One that is not there any more is a success.
    async fn abort_upload(&self, _key: &str, _reference: &str) -> Result<()> {
        Ok(())
    }

    /// Sees to it that an upload with this [`PutOptions::marker`] does not become visible any more,
    /// whoever writes it, and however late. Whether it was visible before is for
    /// [`head`](Self::head) to say, afterwards. Does nothing where storage has no means for it;
    /// uploads in parts are fenced off by [`abort_upload`](Self::abort_upload).
    async fn fence_off(&self, _marker: &str) -> Result<()> {
        Ok(())
    }

    /// Removes what earlier processes left half-written and nobody can finish
    /// (temporary files). Called once at start.
    async fn sweep(&self) -> Result<()> {
        Ok(())
    }
}
