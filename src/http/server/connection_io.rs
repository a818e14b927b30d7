//! The socket as hyper sees it: idle timeout, framing guard, and hyper's own error answers dropped.
//!
//! - A client that reads nothing for the idle timeout while an answer waits is disconnected (reset).
//! - hyper's own answers (400, 431: empty bodies) are discarded; `lingering_close` writes ours.
//!   What hyper writes while it waits for a head, after the last answer is flushed, is such an answer.
//! - At HTTP/1 framing that is ambiguous hyper reads the end of the input, after it has answered every
//!   earlier request.
//! - When hyper drops it, the socket returns to the connection's task.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::connection_state::ConnectionState;
use super::framing::{FramingGuard, FramingViolation};
use super::idle_timeout::IdleTimeout;
use super::protocol_detection::PeekedBytes;

pub(super) struct ConnectionIo {
    /// `None` only while it is dropped.
    stream: Option<TcpStream>,
    peeked: PeekedBytes,
    /// HTTP/1 only.
    guard: Option<FramingGuard>,
    /// Set once; nothing is read after it.
    violation: Option<FramingViolation>,
    /// hyper polled for input after the violation, before its answer was flushed.
    reader: Option<Waker>,
    state: Arc<ConnectionState>,
    timeout: IdleTimeout,
}

impl ConnectionIo {
    pub(super) fn new(
        stream: TcpStream,
        peeked: PeekedBytes,
        guard: Option<FramingGuard>,
        state: Arc<ConnectionState>,
        idle: Duration,
    ) -> Self {
        Self {
            stream: Some(stream),
            peeked,
            guard,
            violation: None,
            reader: None,
            state,
            timeout: IdleTimeout::new(idle),
        }
    }

    /// Removes bytes from `buf` that hyper may not read. `Some`: no bytes are left.
    fn check_framing(
        &mut self,
        cx: &Context<'_>,
        buf: &mut ReadBuf<'_>,
        before: usize,
    ) -> Option<Poll<io::Result<()>>> {
        let guard = self.guard.as_mut()?;
        let violation = guard.check(&buf.filled()[before..]).err()?;
        self.violation = Some(violation);
        buf.set_filled(before + violation.accepted);
        (violation.accepted == 0).then(|| self.end_of_input(cx, violation))
    }

    /// In a body the input ends at once. In a head it ends when hyper waits for a head and has flushed
    /// the answers before it; then the connection's task answers.
    fn end_of_input(
        &mut self,
        cx: &Context<'_>,
        violation: FramingViolation,
    ) -> Poll<io::Result<()>> {
        if violation.in_head {
            if !self.state.awaiting_head() || self.state.answer_unflushed() {
                self.reader = Some(cx.waker().clone());
                return Poll::Pending;
            }
            self.state.reject_framing(violation.reason);
        }
        Poll::Ready(Ok(()))
    }

    /// Whether hyper writes an answer of its own now.
    fn is_hypers_own_answer(&self) -> bool {
        self.state.awaiting_head() && !self.state.answer_unflushed()
    }

    fn after_write(
        &mut self,
        cx: &mut Context<'_>,
        wrote: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        self.state.set_answer_unflushed(true);
        match wrote {
            Poll::Ready(Ok(bytes)) => {
                self.timeout.stop();
                self.state.add_sent(bytes);
                Poll::Ready(Ok(bytes))
            }
            Poll::Ready(Err(error)) => {
                self.state.set_broken();
                Poll::Ready(Err(error))
            }
            Poll::Pending => {
                ready!(self.timeout.poll_elapsed(cx));
                self.state.set_broken();
                if let Some(stream) = &self.stream {
                    // A reset: otherwise the kernel goes on sending what the client does not read.
                    let _ = socket2::SockRef::from(stream).set_linger(Some(Duration::ZERO));
                }
                Poll::Ready(Err(io::Error::new(
                    io::ErrorKind::TimedOut,
                    "the client reads nothing",
                )))
            }
        }
    }
}

impl Drop for ConnectionIo {
    fn drop(&mut self) {
        if let Some(stream) = self.stream.take() {
            self.state.release_socket(stream, self.guard.take());
        }
    }
}

fn not_connected() -> io::Error {
    io::Error::from(io::ErrorKind::NotConnected)
}

impl AsyncRead for ConnectionIo {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if let Some(violation) = this.violation {
            return this.end_of_input(cx, violation);
        }
        let before = buf.filled().len();
        if !this.peeked.is_empty() {
            this.peeked.read_into(buf);
            return this
                .check_framing(cx, buf, before)
                .unwrap_or(Poll::Ready(Ok(())));
        }
        let Some(stream) = &mut this.stream else {
            return Poll::Ready(Err(not_connected()));
        };
        match ready!(Pin::new(stream).poll_read(cx, buf)) {
            Ok(()) if buf.filled().len() > before => {
                this.state.add_received(buf.filled().len() - before);
                this.check_framing(cx, buf, before)
                    .unwrap_or(Poll::Ready(Ok(())))
            }
            ended => {
                this.state.set_broken();
                Poll::Ready(ended)
            }
        }
    }
}

impl AsyncWrite for ConnectionIo {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.is_hypers_own_answer() {
            this.state.reject();
            return Poll::Ready(Ok(buf.len()));
        }
        let Some(stream) = &mut this.stream else {
            return Poll::Ready(Err(not_connected()));
        };
        let wrote = Pin::new(stream).poll_write(cx, buf);
        this.after_write(cx, wrote)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.is_hypers_own_answer() {
            this.state.reject();
            return Poll::Ready(Ok(bufs.iter().map(|buf| buf.len()).sum()));
        }
        let Some(stream) = &mut this.stream else {
            return Poll::Ready(Err(not_connected()));
        };
        let wrote = Pin::new(stream).poll_write_vectored(cx, bufs);
        this.after_write(cx, wrote)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    /// hyper flushes the socket only once its own buffer is empty.
    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.state.set_answer_unflushed(false);
        if let Some(reader) = this.reader.take() {
            reader.wake();
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        match &mut this.stream {
            // The connection's task still has to write its answer.
            _ if this.state.is_rejected() => Poll::Ready(Ok(())),
            Some(stream) => Pin::new(stream).poll_shutdown(cx),
            None => Poll::Ready(Ok(())),
        }
    }
}
