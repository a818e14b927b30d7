//! The port of uploads: options, the [`Upload`] itself, and the errors that all adapters share.
//!
//! ```text
//!            write, any number of times
//!               ┌───┐
//!   put ─▶ Receiving ┘ ── finish ──▶ stored │ refused │ unknown (NoAnswer, Timeout)
//!              │  └────── abort ───▶ nothing stays
//!              │  └────── drop ────▶ nothing becomes visible; parts or a temporary file may
//!              │                     stay until the clean-up of the backend
//!              └─ error of write, or its future dropped ──▶ only abort and drop are left
//! ```

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

use crate::error::{BackendError, ErrorKind, Result};

/// The content type of an object that was stored without one.
pub const UNKNOWN_TYPE: &str = "application/octet-stream";

/// Says when a writer has lost the right to its upload.
pub trait Fence: fmt::Debug + Send + Sync {
    /// The object must not become visible any more. Cheap; called as the last step before it does.
    fn is_past(&self) -> bool;
}

/// An error where the upload must not become visible any more.
pub(super) fn check_fence(fence: Option<&Arc<dyn Fence>>) -> Result<()> {
    match fence.is_some_and(|fence| fence.is_past()) {
        true => Err(BackendError::with_source(
            ErrorKind::Unavailable,
            "put",
            "the lease of the upload is over",
        )),
        false => Ok(()),
    }
}

/// Records what [`ObjectBackend::abort_upload`](super::ObjectBackend::abort_upload) needs after the
/// writer has died.
#[async_trait]
pub trait Recorder: fmt::Debug + Send + Sync {
    /// Storage has begun a multipart upload with the id `reference`. Awaited before the first part is
    /// sent; an error ends the upload.
    async fn record(&self, reference: &str) -> Result<()>;
}

/// Metadata, conditions and guards of an upload.
#[derive(Debug, Clone, Default)]
pub struct PutOptions {
    /// `None`: [`UNKNOWN_TYPE`] is stored.
    pub content_type: Option<String>,
    /// Comes back as [`ObjectMeta::content_encoding`](super::ObjectMeta::content_encoding). Must be
    /// `None` where [`Capabilities::content_encoding`](super::Capabilities::content_encoding) is false.
    pub content_encoding: Option<String>,
    /// As `content_encoding`, for the content language.
    pub content_language: Option<String>,
    /// Bytes that will come, where the client has announced them.
    pub content_length: Option<u64>,
    /// Refuse with [`PreconditionFailed`](ErrorKind::PreconditionFailed) where the key is taken.
    /// Decided at [`Upload::finish`] at the latest, atomically where storage can.
    pub must_not_exist: bool,
    /// A word that is stored with the object and comes back as
    /// [`ObjectMeta::marker`](super::ObjectMeta::marker). It tells the object of an upload whose writer
    /// died from another object under the same key.
    pub marker: Option<String>,
    /// Until when the object may become visible; `None` = always.
    pub fence: Option<Arc<dyn Fence>>,
    /// Is given the id of a multipart upload, where the backend can abort it later by that id.
    pub recorder: Option<Arc<dyn Recorder>>,
}

impl PutOptions {
    /// Never empty: each storage would choose a default of its own.
    pub fn stored_type(&self) -> String {
        let announced = self.content_type.as_deref();
        announced.unwrap_or(UNKNOWN_TYPE).to_owned()
    }
}

/// The object that an upload has stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// As [`ObjectMeta::etag`](super::ObjectMeta::etag).
    pub etag: String,
    /// Bytes.
    pub size: u64,
}

/// An upload in progress. Before [`finish`](Self::finish) nothing of it is visible under the key, and
/// the object that was there stays.
///
/// | call | durable when it returns | may be repeated | dropping its future |
/// | --- | --- | --- | --- |
/// | `write` | no | no: each call appends | the upload can only be aborted |
/// | `finish` | yes | no: takes the upload | the request goes on to its end |
/// | `abort` | yes: no part, no temporary file | no: takes the upload | the abort goes on |
///
/// Dropping the upload itself aborts in the background and may leave parts or a temporary file behind:
/// callers abort.
#[async_trait]
pub trait Upload: Send {
    /// Appends a chunk. Returns when there is room for another one (backpressure).
    async fn write(&mut self, chunk: Bytes) -> Result<()>;

    /// Makes the object visible, atomically and durably, unless [`PutOptions::fence`] is past. A process
    /// can be stopped between the last look at the fence and the request: see
    /// [`ObjectBackend::fence_off`](super::ObjectBackend::fence_off).
    ///
    /// Success is a success response of storage to this very request, with an entity tag. After an
    /// error nothing was stored, except that after [`NoAnswer`](ErrorKind::NoAnswer) and
    /// [`Timeout`](ErrorKind::Timeout) it is unknown:
    /// [`ObjectBackend::head`](super::ObjectBackend::head) and the marker tell. An upload is never
    /// [`NotFound`](ErrorKind::NotFound), and
    /// [`PreconditionFailed`](ErrorKind::PreconditionFailed) only with
    /// [`PutOptions::must_not_exist`].
    async fn finish(self: Box<Self>) -> Result<Stored>;

    /// Discards the upload: no object, no part, no temporary file stays.
    async fn abort(self: Box<Self>) -> Result<()>;
}

/// The error of every call that follows a failed or dropped write.
pub(super) fn earlier_write_failed() -> BackendError {
    let text = "an earlier write of this upload failed";
    BackendError::with_source(ErrorKind::Upstream, "put", text)
}
