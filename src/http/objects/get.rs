//! `GET /object/{token}`: one request to storage, streamed to the client with backpressure.
//!
//! The access ends when the body is dropped, with the outcome that was reached by then.

use std::pin::Pin;
use std::task::{Context, Poll};

use asset_gateway_backends::error::Result as StorageResult;
use asset_gateway_backends::event::{Outcome, Report};
use asset_gateway_backends::object_backend::{GetOptions, GetResult, ObjectBackend};
use asset_gateway_backends::token_store::{Access, Charged};
use asset_gateway_backends::{BackendError, ErrorKind};
use axum::Extension;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::Response;
use bytes::Bytes;
use futures_util::stream::BoxStream;
use http::HeaderMap;
use http_body::{Frame, SizeHint};

use super::range::{self, Validator, Wanted};
use super::response;
use crate::error::GatewayError;
use crate::http::request_context::RequestContext;
use crate::http::state::AppState;
use crate::telemetry::record::Transfer;
use crate::tokens::{Ticket, TokenSecret};

/// Downloads the object, or a range of it.
#[utoipa::path(get, path = "/object/{token}", tag = "data plane",
    params(("token" = String, Path, description = "temporary token")),
    responses((status = 200, description = "the object"), (status = 206, description = "a range of it"),
        (status = 304, description = "not modified"), crate::http::error_responses::DownloadErrors))]
pub async fn get(
    State(state): State<AppState>,
    Extension(context): Extension<RequestContext>,
    Path(token): Path<String>,
    headers: HeaderMap,
) -> Result<Response, GatewayError> {
    let token = TokenSecret::parse(&token).ok_or(GatewayError::TokenNotFound)?;
    let client = context.client(&headers, &state.public_base, &token);
    let ticket = state
        .redeemer
        .admit(&token, Access::Get, None, client)
        .await?;
    let id = ticket.token_id();
    let response = download(&state, ticket, &headers).await?;
    Ok(response::about(response, id))
}

async fn download(
    state: &AppState,
    mut ticket: Ticket,
    headers: &HeaderMap,
) -> Result<Response, GatewayError> {
    let answer = match fetch(state, &mut ticket, headers).await {
        Ok(Fetched::Object(object)) => return Ok(deliver(ticket, object)),
        Ok(Fetched::NotModified(response)) => Ok(response),
        Err(error) => Err(error),
    };
    // The hit is free again before the client has the answer.
    ticket.release().await.map_err(GatewayError::store)?;
    answer
}

enum Fetched {
    Object(GetResult),
    NotModified(Response),
}

async fn fetch(
    state: &AppState,
    ticket: &mut Ticket,
    headers: &HeaderMap,
) -> Result<Fetched, GatewayError> {
    let record = &ticket.record;
    let bucket = state.bucket(&record.bucket)?;
    let conditions = range::conditions(headers)?;
    let range = match range::wanted(headers)? {
        Wanted::Whole => None,
        Wanted::One(range) => Some(range),
        Wanted::Malformed => {
            let whole = GetOptions::default();
            let meta = bucket.head(&record.key, &whole).await;
            let size = meta.map_err(GatewayError::reading)?.size;
            return Err(GatewayError::RangeNotSatisfiable { size });
        }
    };
    let if_range = range::if_range(headers)?.filter(|_| range.is_some());
    let options = GetOptions { range, conditions };
    let object = match request_object(bucket.as_ref(), &record.key, options.clone(), if_range).await
    {
        Ok(object) => object,
        Err(error) if error.kind == ErrorKind::NotModified => {
            let response = response::not_modified(record, &options.conditions);
            return Ok(Fetched::NotModified(response));
        }
        Err(error) => return Err(GatewayError::reading(error)),
    };
    let charged = ticket.charge(object.content_length(), object.meta.size);
    match charged.await.map_err(GatewayError::store)? {
        Charged::Done => Ok(Fetched::Object(object)),
        Charged::OverBudget => Err(GatewayError::HitsExceeded),
        Charged::Lost => Err(ticket.lease.why_lost().await.into()),
    }
}

/// Requests the object; a second time, as a whole, where `If-Range` does not hold.
async fn request_object(
    bucket: &dyn ObjectBackend,
    key: &str,
    mut options: GetOptions,
    if_range: Option<Validator>,
) -> StorageResult<GetResult> {
    let Some(validator) = if_range else {
        return bucket.get(key, &options).await;
    };
    let mut guarded = options.clone();
    let is_guarded = validator.guard(&mut guarded.conditions);
    match bucket.get(key, &guarded).await {
        Ok(object) if validator.matches(&object.meta) => return Ok(object),
        Ok(_) => {}
        Err(error) if is_guarded && error.kind == ErrorKind::PreconditionFailed => {}
        Err(error) => return Err(error),
    }
    options.range = None;
    bucket.get(key, &options).await
}

fn deliver(ticket: Ticket, object: GetResult) -> Response {
    let GetResult { meta, range, body } = object;
    let head = match &range {
        None => response::whole(&ticket.record, &meta),
        Some(range) => response::partial(&ticket.record, &meta, range),
    };
    let expected = range.map_or(meta.size, |range| Some(range.end - range.start));
    let body = DownloadBody {
        stream: body,
        sent: 0,
        expected,
        ended: expected == Some(0),
        failed: false,
        status: head.status().as_u16(),
        etag: meta.etag.unwrap_or_default(),
        content_type: meta.content_type.unwrap_or_default(),
        ticket: Some(ticket),
        in_flight: Transfer::download(),
    };
    head.map(|()| Body::new(body))
}

/// The body of a download. Dropping it ends the access.
struct DownloadBody {
    stream: BoxStream<'static, StorageResult<Bytes>>,
    sent: u64,
    /// `None`: the length is not known, and the stream's end is the object's.
    expected: Option<u64>,
    /// Whether the last byte has been handed out.
    ended: bool,
    failed: bool,
    status: u16,
    etag: String,
    content_type: String,
    ticket: Option<Ticket>,
    in_flight: Transfer,
}

impl DownloadBody {
    fn fail(&mut self, error: BackendError) -> Poll<Option<Result<Frame<Bytes>, BackendError>>> {
        self.failed = true;
        tracing::error!(
            exception.message = %error, http.response.body.size = self.sent, expected = ?self.expected,
            "download cut off"
        );
        Poll::Ready(Some(Err(error)))
    }
}

impl http_body::Body for DownloadBody {
    type Data = Bytes;
    type Error = BackendError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BackendError>>> {
        let invalid = |what| BackendError::new(ErrorKind::Upstream, what);
        if self.failed || self.ended {
            return Poll::Ready(None);
        }
        match std::task::ready!(self.stream.as_mut().poll_next(cx)) {
            Some(Ok(chunk)) => {
                let sent = self.sent + chunk.len() as u64;
                if self.expected.is_some_and(|expected| sent > expected) {
                    return self.fail(invalid("storage sent more bytes than announced"));
                }
                if self.ticket.as_ref().is_some_and(|t| t.lease.is_over()) {
                    // No hit would count the download.
                    return self.fail(BackendError::new(ErrorKind::Unavailable, "lease lost"));
                }
                self.sent = sent;
                self.ended = self.expected == Some(sent);
                self.in_flight.add_bytes(chunk.len() as u64);
                Poll::Ready(Some(Ok(Frame::data(chunk))))
            }
            Some(Err(error)) => self.fail(error),
            None if self.expected.is_none() => {
                self.ended = true;
                Poll::Ready(None)
            }
            None => self.fail(invalid("storage sent fewer bytes than announced")),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.ended
    }

    fn size_hint(&self) -> SizeHint {
        match self.expected {
            Some(expected) => SizeHint::with_exact(expected - self.sent),
            None => SizeHint::default(),
        }
    }
}

impl Drop for DownloadBody {
    fn drop(&mut self) {
        let outcome = if self.failed {
            Outcome::Failed
        } else if self.ended {
            Outcome::Complete
        } else {
            Outcome::Aborted
        };
        let report = Report {
            outcome,
            status: self.status,
            size: self.sent,
            etag: std::mem::take(&mut self.etag),
            content_type: std::mem::take(&mut self.content_type),
        };
        if let Some(ticket) = self.ticket.take() {
            ticket.finish_download(report, self.sent);
        }
    }
}
