//! What a connection's socket, timer, service and task tell each other.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use parking_lot::Mutex;
use tokio::net::TcpStream;

use super::framing::FramingGuard;

/// Nothing orders other memory, so relaxed atomics do. Only HTTP/1 uses the flags, where one request
/// at a time is in hand; `body_unread` may be written by a handler's own task.
#[derive(Debug, Default)]
pub(super) struct ConnectionState {
    /// hyper waits for the head of an HTTP/1 request: between the head timer's start and the call
    /// of the service.
    awaiting_head: AtomicBool,
    /// Bytes of that head have come.
    head_started: AtomicBool,
    /// Part of an answer is written and the rest waits in hyper's buffer.
    mid_answer: AtomicBool,
    /// The request in hand has a body that was not read to its end.
    body_unread: AtomicBool,
    /// hyper wanted to answer by itself.
    refused: AtomicBool,
    /// The client has left, or takes nothing, or the connection is broken.
    lost: AtomicBool,
    /// Bytes in both directions.
    moved: AtomicU64,
    /// Why the head of a request was refused, for the client.
    refused_because: Mutex<Option<&'static str>>,
    returned: Mutex<Option<ReleasedSocket>>,
}

/// What is left of a connection when hyper is done with it.
#[derive(Debug)]
pub(super) struct ReleasedSocket {
    pub(super) stream: TcpStream,
    /// Only of HTTP/1.
    pub(super) guard: Option<FramingGuard>,
}

impl ConnectionState {
    /// `head_started`: the first request's bytes have been seen already.
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

    pub(super) fn received(&self, bytes: usize) {
        self.moved.fetch_add(bytes as u64, Relaxed);
        if self.awaiting_head() {
            self.head_started.store(true, Relaxed);
        }
    }

    pub(super) fn sent(&self, bytes: usize) {
        self.moved.fetch_add(bytes as u64, Relaxed);
    }

    pub(super) fn moved(&self) -> u64 {
        self.moved.load(Relaxed)
    }

    pub(super) fn set_mid_answer(&self, mid_answer: bool) {
        self.mid_answer.store(mid_answer, Relaxed);
    }

    pub(super) fn mid_answer(&self) -> bool {
        self.mid_answer.load(Relaxed)
    }

    pub(super) fn set_body_unread(&self, unread: bool) {
        self.body_unread.store(unread, Relaxed);
    }

    pub(super) fn body_unread(&self) -> bool {
        self.body_unread.load(Relaxed)
    }

    pub(super) fn refuse(&self) {
        self.refused.store(true, Relaxed);
    }

    /// The head that hyper waits for cannot be read in one way alone.
    pub(super) fn refuse_because(&self, why: &'static str) {
        *self.refused_because.lock() = Some(why);
        self.refuse();
    }

    pub(super) fn refused_because(&self) -> Option<&'static str> {
        *self.refused_because.lock()
    }

    pub(super) fn refused(&self) -> bool {
        self.refused.load(Relaxed)
    }

    pub(super) fn lose(&self) {
        self.lost.store(true, Relaxed);
    }

    pub(super) fn lost(&self) -> bool {
        self.lost.load(Relaxed)
    }

    pub(super) fn give_back(&self, stream: TcpStream, guard: Option<FramingGuard>) {
        *self.returned.lock() = Some(ReleasedSocket { stream, guard });
    }

    /// The socket, once hyper has dropped it.
    pub(super) fn take_back(&self) -> Option<ReleasedSocket> {
        self.returned.lock().take()
    }
}
