//! The first state of an upload: storage takes chunks, and nothing is visible.

use std::fmt;
use std::sync::Arc;

use asset_gateway_backends::clock::Clock;
use asset_gateway_backends::error::Result as StoreResult;
use asset_gateway_backends::object_backend::{
    Conditions, Fence, GetOptions, ObjectBackend, PutOptions, Recorder, Upload,
};
use asset_gateway_backends::token_store::{
    LeaseId, LeaseState, MultipartUpload, Reservation, TokenRecord, TokenStore,
};
use asset_gateway_backends::{BackendError, ErrorKind};
use async_trait::async_trait;
use bytes::Bytes;

use super::UploadError;
use crate::telemetry::record::Transfer;
use crate::tokens::Ticket;

/// What the caller knows of the object before its first byte.
pub struct NewObject {
    pub bucket: Arc<dyn ObjectBackend>,
    pub options: PutOptions,
    /// Preconditions, which the object that is there now has to meet.
    pub preconditions: Conditions,
}

/// An upload whose chunks are being written. Dropping it removes what was written and releases the hit,
/// in a detached task.
pub struct Receiving {
    /// `None` once the upload has left this state.
    pub(super) open: Option<Open>,
    pub(super) bucket: Arc<dyn ObjectBackend>,
    pub(super) content_type: Option<String>,
    pub(super) size: u64,
}

pub(super) struct Open {
    pub(super) storage: Box<dyn Upload>,
    pub(super) ticket: Ticket,
    in_flight: Transfer,
}

impl Receiving {
    /// Checks the preconditions and opens the upload in storage. An error releases the hit first.
    pub async fn begin(ticket: Ticket, object: NewObject) -> Result<Self, UploadError> {
        let bucket = Arc::clone(&object.bucket);
        let content_type = object.options.content_type.clone();
        match open(&ticket, object).await {
            Ok(storage) => Ok(Self {
                open: Some(Open {
                    storage,
                    ticket,
                    in_flight: Transfer::upload(),
                }),
                bucket,
                content_type,
                size: 0,
            }),
            Err(error) => {
                ticket.release().await.map_err(UploadError::TokenStore)?;
                Err(error)
            }
        }
    }

    /// Writes the next chunk. After an error the caller has to [`abort`](Self::abort).
    pub async fn write(&mut self, chunk: Bytes) -> Result<(), UploadError> {
        let size = self.size + chunk.len() as u64;
        let Open {
            storage,
            ticket,
            in_flight,
        } = self.open()?;
        if let Some(limit) = ticket.record.size.filter(|limit| size > *limit) {
            return Err(UploadError::TooLong { limit });
        }
        if ticket.lease.is_over() {
            return Err(ticket.lease.why_lost().await.into());
        }
        in_flight.add_bytes(chunk.len() as u64);
        if let Err(error) = storage.write(chunk).await {
            return Err(match ticket.lease.is_over() {
                true => ticket.lease.why_lost().await.into(),
                false => UploadError::Storage(error),
            });
        }
        self.size = size;
        Ok(())
    }

    /// Removes what was written, then releases the hit.
    pub async fn abort(mut self) {
        if let Some(open) = self.open.take() {
            open.abort().await;
        }
    }

    pub(super) fn open(&mut self) -> Result<&mut Open, UploadError> {
        self.open.as_mut().ok_or_else(ended)
    }
}

impl Drop for Receiving {
    fn drop(&mut self) {
        if let Some(open) = self.open.take() {
            open.ticket.detached_tasks.clone().spawn(open.abort());
        }
    }
}

impl Open {
    async fn abort(self) {
        drop(self.in_flight);
        if let Err(error) = self.storage.abort().await {
            tracing::warn!(
                exception.message = %error, "an unfinished upload was not removed from storage"
            );
        }
        if let Err(error) = self.ticket.release().await {
            tracing::warn!(
                exception.message = %error,
                "the hit of an unfinished upload is held until its lease ends"
            );
        }
    }
}

pub(super) fn ended() -> UploadError {
    UploadError::Internal("an upload that has ended".into())
}

impl Ticket {
    /// See [`Reservation::marker`].
    pub(super) fn marker(&self) -> Option<String> {
        self.reservation.as_ref().and_then(Reservation::marker)
    }
}

async fn open(ticket: &Ticket, object: NewObject) -> Result<Box<dyn Upload>, UploadError> {
    let record = &ticket.record;
    let must_not_exist =
        check_preconditions(object.bucket.as_ref(), record, object.preconditions).await?;
    let fence = ticket.lease.deadline.clone();
    let options = PutOptions {
        must_not_exist,
        marker: ticket.marker(),
        // Keeps the upload from becoming visible once the lease is over.
        fence: fence.map(|deadline| deadline as Arc<dyn Fence>),
        recorder: UploadRecorder::of(ticket),
        ..object.options
    };
    let upload = object.bucket.put(&record.key, options).await;
    upload.map_err(UploadError::Storage)
}

/// Refuses an upload that could not be stored, before its body is read; returns whether the key must be
/// free.
async fn check_preconditions(
    bucket: &dyn ObjectBackend,
    record: &TokenRecord,
    conditions: Conditions,
) -> Result<bool, UploadError> {
    let must_not_exist = !record.allow_overwrite || conditions.if_none_match.is_some();
    if !must_not_exist && conditions.is_empty() {
        return Ok(false);
    }
    let options = GetOptions {
        range: None,
        conditions,
    };
    match bucket.head(&record.key, &options).await {
        Ok(_) if must_not_exist => Err(UploadError::PreconditionFailed),
        Ok(_) => Ok(false),
        Err(error) if error.kind == ErrorKind::NotFound => {
            match options.conditions.if_match.is_some() {
                true => Err(UploadError::PreconditionFailed),
                false => Ok(must_not_exist),
            }
        }
        Err(error) if error.kind == ErrorKind::NotModified => Err(UploadError::PreconditionFailed),
        Err(error) => Err(UploadError::Preconditions(error)),
    }
}

/// Records what storage calls a multipart upload, with the upload's lease.
struct UploadRecorder {
    store: Arc<dyn TokenStore>,
    clock: Arc<dyn Clock>,
    lease: LeaseId,
    /// Alias of the bucket.
    bucket: String,
    key: String,
}

impl UploadRecorder {
    /// The recorder for a ticket's upload; `None` where its hit is not leased.
    fn of(ticket: &Ticket) -> Option<Arc<dyn Recorder>> {
        let lease = ticket.lease.lease?;
        Some(Arc::new(Self {
            store: Arc::clone(&ticket.lease.store),
            clock: Arc::clone(&ticket.clock),
            lease,
            bucket: ticket.record.bucket.clone(),
            key: ticket.record.key.clone(),
        }))
    }
}

impl fmt::Debug for UploadRecorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("UploadRecorder");
        shown.field("lease", &self.lease).finish_non_exhaustive()
    }
}

#[async_trait]
impl Recorder for UploadRecorder {
    async fn record(&self, reference: &str) -> StoreResult<()> {
        let upload = MultipartUpload {
            bucket: self.bucket.clone(),
            key: self.key.clone(),
            reference: reference.to_owned(),
            began_at_ms: self.clock.now_ms(),
        };
        match self.store.record_upload(self.lease, upload).await? {
            LeaseState::Held => Ok(()),
            LeaseState::Lost => Err(BackendError::with_source(
                ErrorKind::Unavailable,
                "record_upload",
                "the lease is lost",
            )),
        }
    }
}
