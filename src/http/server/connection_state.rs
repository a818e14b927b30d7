//! Flags and counters that a connection's socket, timer, service and task share.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use parking_lot::Mutex;
use tokio::net::TcpStream;

use super::framing::FramingGuard;

/// The atomics order no other memory, so they are relaxed. Only HTTP/1 uses the flags: it has one
/// request at a time. A handler's task may write `body_unread`.
#[derive(Debug, Default)]
pub(super) struct ConnectionState {
    /// hyper waits for the head of an HTTP/1 request: between the start of the head timer and the call
    /// of the service.
    awaiting_head: AtomicBool,
    /// Bytes of that head have arrived.
    head_started: AtomicBool,
    /// One part of an answer is written, the rest waits in hyper's buffer.
    answer_unflushed: AtomicBool,
    /// The current request has a body that was not read to its end.
    body_unread: AtomicBool,
    /// hyper has rejected the request and would answer without the service.
    rejected: AtomicBool,
    /// The client has closed the connection or reads nothing, or the connection is broken.
    broken: AtomicBool,
    /// Bytes in both directions.
    transferred: AtomicU64,
    /// Why the framing guard rejected a head; part of the answer.
    framing_error: Mutex<Option<&'static str>>,
    released: Mutex<Option<ReleasedSocket>>,
}

/// The socket after hyper has dropped it.
#[derive(Debug)]
pub(super) struct ReleasedSocket {
    pub(super) stream: TcpStream,
    /// HTTP/1 only.
    pub(super) guard: Option<FramingGuard>,
}

impl ConnectionState {
    /// `head_started` is set: protocol detection has seen bytes of the first request.
    pub(super) fn new() -> Self {
        Self {
            head_started: AtomicBool::new(true),
            ..Self::default()
        }
    }

    pub(super) fn await_head(&self) {
        self.awaiting_head.store(true, Relaxed);
    }

    /// A request has reached the service.
    pub(super) fn head_complete(&self) {
        self.awaiting_head.store(false, Relaxed);
        self.head_started.store(false, Relaxed);
    }

    pub(super) fn awaiting_head(&self) -> bool {
        self.awaiting_head.load(Relaxed)
    }

    pub(super) fn head_started(&self) -> bool {
        self.head_started.load(Relaxed)
    }

    pub(super) fn add_received(&self, bytes: usize) {
        self.transferred.fetch_add(bytes as u64, Relaxed);
        if self.awaiting_head() {
            self.head_started.store(true, Relaxed);
        }
    }

    pub(super) fn add_sent(&self, bytes: usize) {
        self.transferred.fetch_add(bytes as u64, Relaxed);
    }

    pub(super) fn transferred(&self) -> u64 {
        self.transferred.load(Relaxed)
    }

    pub(super) fn set_answer_unflushed(&self, unflushed: bool) {
        self.answer_unflushed.store(unflushed, Relaxed);
    }

    pub(super) fn answer_unflushed(&self) -> bool {
        self.answer_unflushed.load(Relaxed)
    }

    pub(super) fn set_body_unread(&self, unread: bool) {
        self.body_unread.store(unread, Relaxed);
    }

    pub(super) fn body_unread(&self) -> bool {
        self.body_unread.load(Relaxed)
    }

    pub(super) fn reject(&self) {
        self.rejected.store(true, Relaxed);
    }

    /// The framing of the head that hyper waits for is ambiguous.
    pub(super) fn reject_framing(&self, reason: &'static str) {
        *self.framing_error.lock() = Some(reason);
        self.reject();
    }

    pub(super) fn framing_error(&self) -> Option<&'static str> {
        *self.framing_error.lock()
    }

    pub(super) fn is_rejected(&self) -> bool {
        self.rejected.load(Relaxed)
    }

    pub(super) fn set_broken(&self) {
        self.broken.store(true, Relaxed);
    }

    pub(super) fn is_broken(&self) -> bool {
        self.broken.load(Relaxed)
    }

    pub(super) fn release_socket(&self, stream: TcpStream, guard: Option<FramingGuard>) {
        *self.released.lock() = Some(ReleasedSocket { stream, guard });
    }

    /// The socket, once hyper has dropped it.
    pub(super) fn take_socket(&self) -> Option<ReleasedSocket> {
        self.released.lock().take()
    }
}
