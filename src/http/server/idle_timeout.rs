//! Idle timeout: how long a client may send or read nothing while the gateway waits for it.

use std::error::Error as StdError;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::BoxError;
use bytes::Bytes;
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use tokio::time::{Instant, Sleep};

/// Runs while the gateway waits for the client; any progress stops it.
pub(super) struct IdleTimeout {
    limit: Duration,
    /// Created at the first wait: most connections never wait.
    sleep: Option<Pin<Box<Sleep>>>,
    running: bool,
}

impl IdleTimeout {
    pub(super) fn new(limit: Duration) -> Self {
        Self {
            limit,
            sleep: None,
            running: false,
        }
    }

    pub(super) fn stop(&mut self) {
        self.running = false;
    }

    /// Starts the timeout where it does not run; ready when it has elapsed.
    pub(super) fn poll_elapsed(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let limit = self.limit;
        let sleep = self
            .sleep
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(limit)));
        if !self.running {
            self.running = true;
            sleep.as_mut().reset(Instant::now() + limit);
        }
        sleep.as_mut().poll(cx)
    }
}

/// An upload sent nothing for the idle timeout while the handler waited for it: 408.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("the client sends nothing")]
pub struct UploadIdleTimeout;

impl UploadIdleTimeout {
    /// Whether the idle timeout broke a request's body: anywhere in the chain of sources.
    pub fn caused(error: &(dyn StdError + 'static)) -> bool {
        let mut next = Some(error);
        while let Some(error) = next {
            if error.is::<Self>() {
                return true;
            }
            next = error.source();
        }
        false
    }
}

/// A request body that ends with [`UploadIdleTimeout`]. Time in which the handler does not read does
/// not count.
pub(super) struct TimeoutBody<B> {
    body: B,
    timeout: IdleTimeout,
}

impl<B> TimeoutBody<B> {
    pub(super) fn new(body: B, limit: Duration) -> Self {
        Self {
            body,
            timeout: IdleTimeout::new(limit),
        }
    }
}

impl<B> HttpBody for TimeoutBody<B>
where
    B: HttpBody<Data = Bytes, Error = hyper::Error> + Unpin,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = self.get_mut();
        if let Poll::Ready(frame) = Pin::new(&mut this.body).poll_frame(cx) {
            this.timeout.stop();
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        ready!(this.timeout.poll_elapsed(cx));
        Poll::Ready(Some(Err(UploadIdleTimeout.into())))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
