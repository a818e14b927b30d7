//! The socket as hyper sees it.
//!
//! - A client that takes nothing for `idle` while there is something to write is cut off.
//! - An answer that hyper gives by itself (400, 431: empty bodies) is swallowed; the connection's
//!   task writes ours. No bytes are compared: what is written while hyper waits for the head of a
//!   request, and nothing of an earlier answer is left, cannot be anything else.
//! - What framing of HTTP/1 can be read in two ways ends here: hyper sees the end of the input, once
//!   it has answered what came before.
//! - When hyper drops it, the socket goes back to the connection's task.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::connection_state::ConnectionState;
use super::framing::{FramingGuard, Refused};
use super::idle_timeout::IdleTimeout;
use super::protocol_detection::PeekedBytes;

pub(super) struct ConnectionIo {
    /// `None` only while it is dropped.
    stream: Option<TcpStream>,
    peeked: PeekedBytes,
    /// Only of HTTP/1.
    guard: Option<FramingGuard>,
    /// Nothing more is read.
    refused: Option<Refused>,
    /// hyper asked for more of that before it had written its answer.
    asked: Option<Waker>,
    link: Arc<ConnectionState>,
    idle: IdleTimeout,
}

impl ConnectionIo {
    pub(super) fn new(
        stream: TcpStream,
        peeked: PeekedBytes,
        guard: Option<FramingGuard>,
        link: Arc<ConnectionState>,
        idle: Duration,
    ) -> Self {
        Self {
            stream: Some(stream),
            peeked,
            guard,
            refused: None,
            asked: None,
            link,
            idle: IdleTimeout::new(idle),
        }
    }

    /// Takes back what may not be read. `Some` where nothing is left.
    fn check_framing(
        &mut self,
        cx: &Context<'_>,
        buf: &mut ReadBuf<'_>,
        before: usize,
    ) -> Option<Poll<io::Result<()>>> {
        let guard = self.guard.as_mut()?;
        let refused = guard.follow(&buf.filled()[before..]).err()?;
        self.refused = Some(refused);
        buf.set_filled(before + refused.good);
        (refused.good == 0).then(|| self.end_of_input(cx, refused))
    }

    /// A reader of a body learns at once that it ends too early. A head that is refused is answered by
    /// the connection's task, when hyper waits for one and has written all before it.
    fn end_of_input(&mut self, cx: &Context<'_>, refused: Refused) -> Poll<io::Result<()>> {
        if refused.in_head {
            if !self.link.awaiting_head() || self.link.mid_answer() {
                // hyper asks again when it waits for a head, or when its answer is written.
                self.asked = Some(cx.waker().clone());
                return Poll::Pending;
            }
            self.link.refuse_because(refused.why);
        }
        Poll::Ready(Ok(()))
    }

    /// Whether what hyper writes now is an answer of its own.
    fn swallows(&self) -> bool {
        self.link.awaiting_head() && !self.link.mid_answer()
    }

    fn written(
        &mut self,
        cx: &mut Context<'_>,
        wrote: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        self.link.set_mid_answer(true);
        match wrote {
            Poll::Ready(Ok(bytes)) => {
                self.idle.over();
                self.link.sent(bytes);
                Poll::Ready(Ok(bytes))
            }
            Poll::Ready(Err(error)) => {
                self.link.lose();
                Poll::Ready(Err(error))
            }
            Poll::Pending => {
                ready!(self.idle.poll(cx));
                self.link.lose();
                if let Some(stream) = &self.stream {
                    // A reset: otherwise the kernel goes on offering what the client does not take.
                    let _ = socket2::SockRef::from(stream).set_linger(Some(Duration::ZERO));
                }
                Poll::Ready(Err(io::Error::new(
                    io::ErrorKind::TimedOut,
                    "the client takes nothing",
                )))
            }
        }
    }
}

impl Drop for ConnectionIo {
    fn drop(&mut self) {
        if let Some(stream) = self.stream.take() {
            self.link.give_back(stream, self.guard.take());
        }
    }
}

fn gone() -> io::Error {
    io::Error::from(io::ErrorKind::NotConnected)
}

impl AsyncRead for ConnectionIo {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if let Some(refused) = this.refused {
            return this.end_of_input(cx, refused);
        }
        let before = buf.filled().len();
        if !this.peeked.is_empty() {
            this.peeked.read_into(buf);
            return this
                .check_framing(cx, buf, before)
                .unwrap_or(Poll::Ready(Ok(())));
        }
        let Some(stream) = &mut this.stream else {
            return Poll::Ready(Err(gone()));
        };
        match ready!(Pin::new(stream).poll_read(cx, buf)) {
            Ok(()) if buf.filled().len() > before => {
                this.link.received(buf.filled().len() - before);
                this.check_framing(cx, buf, before)
                    .unwrap_or(Poll::Ready(Ok(())))
            }
            ended => {
                this.link.lose();
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
        if this.swallows() {
            this.link.refuse();
            return Poll::Ready(Ok(buf.len()));
        }
        let Some(stream) = &mut this.stream else {
            return Poll::Ready(Err(gone()));
        };
        let wrote = Pin::new(stream).poll_write(cx, buf);
        this.written(cx, wrote)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.swallows() {
            this.link.refuse();
            return Poll::Ready(Ok(bufs.iter().map(|buf| buf.len()).sum()));
        }
        let Some(stream) = &mut this.stream else {
            return Poll::Ready(Err(gone()));
        };
        let wrote = Pin::new(stream).poll_write_vectored(cx, bufs);
        this.written(cx, wrote)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    /// hyper flushes the socket only once its own buffer is empty.
    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.link.set_mid_answer(false);
        if let Some(asked) = this.asked.take() {
            asked.wake();
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        match &mut this.stream {
            // Our own answer is still to be written.
            _ if this.link.refused() => Poll::Ready(Ok(())),
            Some(stream) => Pin::new(stream).poll_shutdown(cx),
            None => Poll::Ready(Ok(())),
        }
    }
}
