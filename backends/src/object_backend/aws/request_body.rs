//! Bodies of requests: pieces that are here, and pieces that are still to come.

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

/// A body that can be sent as often as needed.
pub fn in_memory(pieces: VecDeque<Bytes>) -> SdkBody {
    fenced(pieces, None)
}

/// As [`in_memory`], but the last piece is held back where the fence is past.
pub fn fenced(pieces: VecDeque<Bytes>, fence: Option<Arc<dyn Fence>>) -> SdkBody {
    SdkBody::retryable(move || SdkBody::from_body_1_x(InMemory::new(pieces.clone(), fence.clone())))
}

struct InMemory {
    pieces: VecDeque<Bytes>,
    left: u64,
    fence: Option<Arc<dyn Fence>>,
}

impl InMemory {
    fn new(pieces: VecDeque<Bytes>, fence: Option<Arc<dyn Fence>>) -> Self {
        let left = pieces.iter().map(|piece| piece.len() as u64).sum();
        Self {
            pieces,
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
        let piece = self.pieces.pop_front();
        if piece.is_some() && self.pieces.is_empty() {
            check(self.fence.as_ref())?;
        }
        self.left -= piece.as_ref().map_or(0, |piece| piece.len() as u64);
        Poll::Ready(piece.map(|piece| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.pieces.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

/// A body of `length` bytes that come through the channel. A sender that is dropped before all of
/// them have come breaks the request, as does a fence that is past when the last one is to go out.
pub fn to_come(
    pieces: mpsc::Receiver<Bytes>,
    length: u64,
    fence: Option<Arc<dyn Fence>>,
) -> SdkBody {
    SdkBody::from_body_1_x(ToCome {
        pieces,
        left: length,
        fence,
    })
}

/// An error here breaks the request in the middle of its body.
fn check(fence: Option<&Arc<dyn Fence>>) -> io::Result<()> {
    check_fence(fence).map_err(io::Error::other)
}

struct ToCome {
    pieces: mpsc::Receiver<Bytes>,
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
        let Some(piece) = ready!(self.pieces.poll_recv(context)) else {
            return Poll::Ready(Some(Err(io::Error::other("the upload was given up"))));
        };
        Poll::Ready(Some(match self.left.checked_sub(piece.len() as u64) {
            Some(left) => {
                if left == 0 {
                    check(self.fence.as_ref())?;
                }
                self.left = left;
                Ok(Frame::data(piece))
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
