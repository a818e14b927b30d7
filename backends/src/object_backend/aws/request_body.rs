//! Bodies of requests: chunks in memory, and chunks that are still to come.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use aws_sdk_s3::primitives::SdkBody;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::sync::mpsc;

use crate::object_backend::Fence;
use crate::object_backend::upload::check_fence;

/// A body that can be sent again.
pub fn in_memory(chunks: VecDeque<Bytes>) -> SdkBody {
    fenced(chunks, None)
}

/// As [`in_memory`], but the last chunk is only sent before the fence is past.
pub fn fenced(chunks: VecDeque<Bytes>, fence: Option<Arc<dyn Fence>>) -> SdkBody {
    SdkBody::retryable(move || SdkBody::from_body_1_x(InMemory::new(chunks.clone(), fence.clone())))
}

struct InMemory {
    chunks: VecDeque<Bytes>,
    left: u64,
    fence: Option<Arc<dyn Fence>>,
}

impl InMemory {
    fn new(chunks: VecDeque<Bytes>, fence: Option<Arc<dyn Fence>>) -> Self {
        let left = chunks.iter().map(|chunk| chunk.len() as u64).sum();
        Self {
            chunks,
            left,
            fence,
        }
    }
}

impl Body for InMemory {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let chunk = self.chunks.pop_front();
        if chunk.is_some() && self.chunks.is_empty() {
            check(self.fence.as_ref())?;
        }
        self.left -= chunk.as_ref().map_or(0, |chunk| chunk.len() as u64);
        Poll::Ready(chunk.map(|chunk| Ok(Frame::data(chunk))))
    }

    fn is_end_stream(&self) -> bool {
        self.chunks.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

/// A body of `length` bytes from a channel. The request breaks where the sender is dropped before the
/// last byte, or the fence is past when the last chunk is due.
pub fn to_come(
    chunks: mpsc::Receiver<Bytes>,
    length: u64,
    fence: Option<Arc<dyn Fence>>,
) -> SdkBody {
    SdkBody::from_body_1_x(ToCome {
        chunks,
        left: length,
        fence,
    })
}

/// An error breaks the request in the middle of its body.
fn check(fence: Option<&Arc<dyn Fence>>) -> io::Result<()> {
    check_fence(fence).map_err(io::Error::other)
}

struct ToCome {
    chunks: mpsc::Receiver<Bytes>,
    left: u64,
    fence: Option<Arc<dyn Fence>>,
}

impl Body for ToCome {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        let Some(chunk) = ready!(self.chunks.poll_recv(context)) else {
            return Poll::Ready(Some(Err(io::Error::other("the upload was abandoned"))));
        };
        Poll::Ready(Some(match self.left.checked_sub(chunk.len() as u64) {
            Some(left) => {
                if left == 0 {
                    check(self.fence.as_ref())?;
                }
                self.left = left;
                Ok(Frame::data(chunk))
            }
            None => Err(io::Error::other("more bytes than were announced")),
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}
