//! Concurrency limit for HTTP/2 streams, which bounds the memory of all connections.
//!
//! A connection may open 128 streams, and the answer of each holds memory while its client reads nothing.
//! So every connection has a few permits of its own, and all connections share further ones. A stream
//! without a permit waits with its head alone; where too many wait, it is refused.

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

/// Permits of each connection's own.
const OWN_STREAMS: usize = 2;
/// Further permits, of all connections. Each stream holds one chunk of a body, mostly 64 KiB.
const SHARED_STREAMS: usize = 512;
/// Memory of waiting streams with their heads, over all connections.
const WAITING_KIB: usize = 8 * 1024;
/// Memory of a waiting stream besides its head.
const WAITING_STREAM_KIB: usize = 4;

/// The limit of one [`super::Server`].
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
    /// The limit of one connection. A trusted proxy has many clients: it has a permit for every stream.
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

/// Held by a stream's answer, and by its bytes that are not written yet.
pub(super) type StreamPermit = Arc<OwnedSemaphorePermit>;

impl ConnectionStreamLimit {
    pub(super) fn try_acquire(&self) -> Option<StreamPermit> {
        let own = Arc::clone(&self.own).try_acquire_owned();
        let permit = own.or_else(|_| Arc::clone(&self.all.shared).try_acquire_owned());
        permit.ok().map(Arc::new)
    }

    /// Waits for a permit, at most for `timeout`. `None`: too many streams wait already; the future gives
    /// `None` where no permit became free.
    pub(super) fn acquire(
        &self,
        head: &HeaderMap,
        timeout: Duration,
    ) -> Option<impl Future<Output = Option<StreamPermit>> + Send + 'static> {
        let fields = head.iter();
        let bytes: usize = fields
            .map(|(name, value)| name.as_str().len() + value.len())
            .sum();
        let kib = u32::try_from(WAITING_STREAM_KIB + bytes / 1024).unwrap_or(u32::MAX);
        let waiting = Arc::clone(&self.all.waiting)
            .try_acquire_many_owned(kib)
            .ok()?;
        let (own, shared) = (Arc::clone(&self.own), Arc::clone(&self.all.shared));
        Some(async move {
            let permit = async {
                tokio::select! {
                    biased;
                    permit = own.acquire_owned() => permit,
                    permit = shared.acquire_owned() => permit,
                }
            };
            let permit = tokio::time::timeout(timeout, permit).await;
            drop(waiting);
            permit.ok()?.ok().map(Arc::new)
        })
    }
}

/// An answer's body that holds its permit until the last byte is written, and reads a chunk only when
/// the chunk before is written.
pub(super) struct PermitBody {
    body: Body,
    permit: StreamPermit,
    /// The chunk that hyper has not written yet.
    unwritten: Option<Arc<ChunkState>>,
    written: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

impl PermitBody {
    pub(super) fn new(body: Body, permit: StreamPermit) -> Self {
        Self {
            body,
            permit,
            unwritten: None,
            written: None,
        }
    }
}

/// Notified when hyper drops a chunk.
#[derive(Debug, Default)]
struct ChunkState {
    written: Notify,
}

/// The bytes that hyper holds.
struct Chunk {
    bytes: Bytes,
    state: Arc<ChunkState>,
    _permit: StreamPermit,
}

impl AsRef<[u8]> for Chunk {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Chunk {
    fn drop(&mut self) {
        // The permit of `Notify` is kept for a body that does not wait yet.
        self.state.written.notify_one();
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
                    let state = Arc::<ChunkState>::default();
                    this.unwritten = Some(Arc::clone(&state));
                    Bytes::from_owner(Chunk {
                        bytes,
                        state,
                        _permit: Arc::clone(&this.permit),
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

    const TIMEOUT: Duration = Duration::from_secs(60);

    async fn is_pending(future: &mut (impl Future + Unpin)) -> bool {
        std::future::poll_fn(|cx| Poll::Ready(Pin::new(&mut *future).poll(cx).is_pending())).await
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_has_its_own_permits_whatever_others_hold() {
        let limit = StreamLimit::default();
        let greedy = limit.of_connection(false);
        let held: Vec<_> = std::iter::from_fn(|| greedy.try_acquire()).collect();
        assert_eq!(held.len(), OWN_STREAMS + SHARED_STREAMS);
        let other = limit.of_connection(false);
        let own: Vec<_> = std::iter::from_fn(|| other.try_acquire()).collect();
        assert_eq!(own.len(), OWN_STREAMS);
        let proxy = limit.of_connection(true);
        let streams = std::iter::from_fn(|| proxy.try_acquire());
        assert_eq!(streams.collect::<Vec<_>>().len(), H2_MAX_STREAMS as usize);

        let head = HeaderMap::new();
        let waits = other.acquire(&head, TIMEOUT).unwrap();
        assert!(waits.await.is_none());
        let waits = tokio::spawn(other.acquire(&head, TIMEOUT).unwrap());
        tokio::task::yield_now().await;
        drop(own);
        assert!(waits.await.unwrap().is_some());
    }

    #[tokio::test]
    async fn waiting_streams_are_bounded_with_their_heads() {
        let limit = StreamLimit::default();
        let connection = limit.of_connection(false);
        let mut head = HeaderMap::new();
        head.insert("x", "y".repeat(14 * 1024).parse().unwrap());
        let waiting: Vec<_> = std::iter::from_fn(|| connection.acquire(&head, TIMEOUT)).collect();
        assert_eq!(waiting.len(), WAITING_KIB / (WAITING_STREAM_KIB + 14));
        drop(waiting);
        assert!(connection.acquire(&head, TIMEOUT).is_some());
    }

    #[tokio::test]
    async fn a_permit_is_free_when_the_last_byte_is_written() {
        let limit = StreamLimit::default();
        let connection = limit.of_connection(false);
        let permits = || connection.own.available_permits();
        let body = Body::from_stream(futures_util::stream::iter([
            Ok::<_, std::io::Error>(Bytes::from_static(b"one")),
            Ok(Bytes::from_static(b"two")),
        ]));
        let mut body = PermitBody::new(body, connection.try_acquire().unwrap());
        let one = body.frame().await.unwrap().unwrap().into_data().unwrap();
        let mut two = Box::pin(body.frame());
        assert!(is_pending(&mut two).await);
        // A slice of the chunk keeps it.
        let part = one.slice(1..);
        drop(one);
        assert!(is_pending(&mut two).await);
        drop(part);
        let two = two.await.unwrap().unwrap().into_data().unwrap();
        drop(body);
        assert_eq!(permits(), OWN_STREAMS - 1);
        drop(two);
        assert_eq!(permits(), OWN_STREAMS);
    }
}
