//! Reads the rest of an HTTP/2 upload that is answered before its end.
//!
//! hyper sends `RST_STREAM(NO_ERROR)` right after the answer where a request body is dropped unread.
//! RFC 9113 §8.1 asks clients not to discard the answer then; some do. HTTP/1 connections are drained
//! by [`super::lingering_close`].

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};
use tokio::runtime::Handle;

use super::lingering_close::LINGER_TIMEOUT;

/// A request body whose unread rest is read and discarded, for a limited time, after it is dropped.
pub(super) struct DrainOnDrop(
    /// `None` only while it is dropped.
    Option<Incoming>,
);

impl DrainOnDrop {
    pub(super) fn new(body: Incoming) -> Self {
        Self(Some(body))
    }
}

impl Drop for DrainOnDrop {
    fn drop(&mut self) {
        let Some(mut body) = self.0.take().filter(|body| !body.is_end_stream()) else {
            return;
        };
        // A process that ends has no runtime any more.
        if let Ok(runtime) = Handle::try_current() {
            let drain = async move { while let Some(Ok(_)) = body.frame().await {} };
            runtime.spawn(tokio::time::timeout(LINGER_TIMEOUT, drain));
        }
    }
}

impl HttpBody for DrainOnDrop {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        match &mut self.0 {
            Some(body) => Pin::new(body).poll_frame(cx),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.0.as_ref().is_none_or(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.0
            .as_ref()
            .map_or_else(SizeHint::default, HttpBody::size_hint)
    }
}
