//! How many streams of HTTP/2 are answered at the same time, and so what all connections together
//! hold in memory.
//!
//! A connection may open 128 streams, and a client that takes nothing keeps what each of them has read.
//! So every connection has a few streams of its own, whatever others do, and all share a number of
//! further ones. A stream that finds no place waits with its head alone; where too many wait, it is
//! refused.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body as HttpBody, Frame, SizeHint};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

use super::hyper_limits::H2_MAX_STREAMS;

/// StreamExecutor that a connection always has.
const OWN_STREAMS: usize = 2;
/// StreamExecutor past those, of all connections. Each holds one piece of a body, mostly 64 KiB.
const SHARED_STREAMS: usize = 512;
/// KiB of streams that wait, heads included, over all connections.
const WAITING_KIB: usize = 8 * 1024;
/// KiB of a stream that waits, beside its head.
const WAITING_STREAM_KIB: usize = 4;

/// Of one [`super::Server`].
#[derive(Debug, Clone)]
pub(super) struct StreamLimit {
    shared: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
}

impl Default for StreamLimit {
    fn default() -> Self {
        Self {
            shared: Arc::new(Semaphore::new(SHARED_STREAMS)),
            waiting: Arc::new(Semaphore::new(WAITING_KIB)),
        }
    }
}

impl StreamLimit {
    /// The part of one connection. A trusted proxy speaks for many clients: all its streams are its own.
    pub(super) fn of_connection(&self, trusted: bool) -> ConnectionStreamLimit {
        let own = if trusted {
            H2_MAX_STREAMS as usize
        } else {
            OWN_STREAMS
        };
        ConnectionStreamLimit {
            own: Arc::new(Semaphore::new(own)),
            all: self.clone(),
        }
    }
}

#[derive(Debug, Clone)]
pub(super) struct ConnectionStreamLimit {
    own: Arc<Semaphore>,
    all: StreamLimit,
}

/// A stream's place: held by its answer, and by the bytes of it that are not written.
pub(super) type StreamPermit = Arc<OwnedSemaphorePermit>;

impl ConnectionStreamLimit {
    /// A place that is free now.
    pub(super) fn try_enter(&self) -> Option<StreamPermit> {
        let own = Arc::clone(&self.own).try_acquire_owned();
        let place = own.or_else(|_| Arc::clone(&self.all.shared).try_acquire_owned());
        place.ok().map(Arc::new)
    }

    /// A place when there is one, at most after `patience`. `None` where too many wait already; the
    /// future is `None` where none became free.
    pub(super) fn enter(
        &self,
        head: &HeaderMap,
        patience: Duration,
    ) -> Option<impl Future<Output = Option<StreamPermit>> + Send + 'static> {
        let fields = head.iter();
        let bytes: usize = fields
            .map(|(name, value)| name.as_str().len() + value.len())
            .sum();
        let kib = u32::try_from(WAITING_STREAM_KIB + bytes / 1024).unwrap_or(u32::MAX);
        let waits = Arc::clone(&self.all.waiting)
            .try_acquire_many_owned(kib)
            .ok()?;
        let (own, shared) = (Arc::clone(&self.own), Arc::clone(&self.all.shared));
        Some(async move {
            let place = async {
                tokio::select! {
                    biased;
                    place = own.acquire_owned() => place,
                    place = shared.acquire_owned() => place,
                }
            };
            let place = tokio::time::timeout(patience, place).await;
            drop(waits);
            place.ok()?.ok().map(Arc::new)
        })
    }
}

/// An answer's body that keeps its place until its last byte is written, and reads its next piece when
/// the one before is written.
pub(super) struct PermitBody {
    body: Body,
    place: StreamPermit,
    unwritten: Option<Arc<Unwritten>>,
    /// Waits for that piece.
    written: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

impl PermitBody {
    pub(super) fn new(body: Body, place: StreamPermit) -> Self {
        Self {
            body,
            place,
            unwritten: None,
            written: None,
        }
    }
}

/// Told when hyper lets go of a piece.
#[derive(Debug, Default)]
struct Unwritten {
    written: Notify,
}

/// A piece as hyper has it.
struct Piece {
    bytes: Bytes,
    unwritten: Arc<Unwritten>,
    _place: StreamPermit,
}

impl AsRef<[u8]> for Piece {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        // Kept for a body that does not wait yet.
        self.unwritten.written.notify_one();
    }
}

impl HttpBody for PermitBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = self.get_mut();
        if let Some(unwritten) = &this.unwritten {
            let written = this.written.get_or_insert_with(|| {
                let unwritten = Arc::clone(unwritten);
                Box::pin(async move { unwritten.written.notified().await })
            });
            std::task::ready!(written.as_mut().poll(cx));
            (this.unwritten, this.written) = (None, None);
        }
        let frame = std::task::ready!(Pin::new(&mut this.body).poll_frame(cx));
        Poll::Ready(frame.map(|frame| {
            frame.map(|frame| {
                frame.map_data(|bytes| {
                    if bytes.is_empty() {
                        return bytes;
                    }
                    let unwritten = Arc::<Unwritten>::default();
                    this.unwritten = Some(Arc::clone(&unwritten));
                    Bytes::from_owner(Piece {
                        bytes,
                        unwritten,
                        _place: Arc::clone(&this.place),
                    })
                })
            })
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(60);

    async fn is_pending(future: &mut (impl Future + Unpin)) -> bool {
        std::future::poll_fn(|cx| Poll::Ready(Pin::new(&mut *future).poll(cx).is_pending())).await
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_has_its_own_places_whatever_others_hold() {
        let budget = StreamLimit::default();
        let greedy = budget.of_connection(false);
        let held: Vec<_> = std::iter::from_fn(|| greedy.try_enter()).collect();
        assert_eq!(held.len(), OWN_STREAMS + SHARED_STREAMS);
        let other = budget.of_connection(false);
        let own: Vec<_> = std::iter::from_fn(|| other.try_enter()).collect();
        assert_eq!(own.len(), OWN_STREAMS);
        let proxy = budget.of_connection(true);
        let streams = std::iter::from_fn(|| proxy.try_enter());
        assert_eq!(streams.collect::<Vec<_>>().len(), H2_MAX_STREAMS as usize);

        let head = HeaderMap::new();
        let waits = other.enter(&head, PATIENCE).unwrap();
        assert!(waits.await.is_none());
        let waits = tokio::spawn(other.enter(&head, PATIENCE).unwrap());
        tokio::task::yield_now().await;
        drop(own);
        assert!(waits.await.unwrap().is_some());
    }

    #[tokio::test]
    async fn what_waits_is_bounded_with_its_heads() {
        let budget = StreamLimit::default();
        let connection = budget.of_connection(false);
        let mut head = HeaderMap::new();
        head.insert("x", "y".repeat(14 * 1024).parse().unwrap());
        let waiting: Vec<_> = std::iter::from_fn(|| connection.enter(&head, PATIENCE)).collect();
        assert_eq!(waiting.len(), WAITING_KIB / (WAITING_STREAM_KIB + 14));
        drop(waiting);
        assert!(connection.enter(&head, PATIENCE).is_some());
    }

    #[tokio::test]
    async fn a_place_is_free_when_the_last_byte_is_written() {
        let budget = StreamLimit::default();
        let connection = budget.of_connection(false);
        let places = || connection.own.available_permits();
        let body = Body::from_stream(futures_util::stream::iter([
            Ok::<_, std::io::Error>(Bytes::from_static(b"one")),
            Ok(Bytes::from_static(b"two")),
        ]));
        let mut body = PermitBody::new(body, connection.try_enter().unwrap());
        let one = body.frame().await.unwrap().unwrap().into_data().unwrap();
        let mut two = Box::pin(body.frame());
        assert!(is_pending(&mut two).await);
        // A part of the piece keeps it.
        let part = one.slice(1..);
        drop(one);
        assert!(is_pending(&mut two).await);
        drop(part);
        let two = two.await.unwrap().unwrap().into_data().unwrap();
        drop(body);
        assert_eq!(places(), OWN_STREAMS - 1);
        drop(two);
        assert_eq!(places(), OWN_STREAMS);
    }
}
