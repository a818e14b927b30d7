//! Which HTTP a client speaks, by its first bytes.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt, ReadBuf};

/// RFC 9113 §3.4.
const H2_PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Protocol {
    Http1,
    Http2,
}

/// Bytes that were read to tell the version, to be read again by hyper.
#[derive(Debug, Default)]
pub(super) struct PeekedBytes {
    bytes: [u8; H2_PREFACE.len()],
    read: usize,
    filled: usize,
}

impl PeekedBytes {
    pub(super) fn is_empty(&self) -> bool {
        self.read == self.filled
    }

    /// Moves as much as fits.
    pub(super) fn read_into(&mut self, buf: &mut ReadBuf<'_>) {
        let left = &self.bytes[self.read..self.filled];
        let fits = left.len().min(buf.remaining());
        buf.put_slice(&left[..fits]);
        self.read += fits;
    }
}

/// Reads until the version is clear; `None` where the client has left before.
///
/// hyper-util's own detection has no time limit, so a client that sends nothing, or half a preface,
/// would keep its connection for ever; this one is run under the caller's.
pub(super) async fn detect_protocol<S: AsyncRead + Unpin>(
    stream: &mut S,
) -> io::Result<Option<(Protocol, PeekedBytes)>> {
    let mut peeked = PeekedBytes::default();
    while peeked.filled < H2_PREFACE.len() {
        let read = stream.read(&mut peeked.bytes[peeked.filled..]).await?;
        if read == 0 {
            return Ok(None);
        }
        peeked.filled += read;
        if peeked.bytes[..peeked.filled] != H2_PREFACE[..peeked.filled] {
            return Ok(Some((Protocol::Http1, peeked)));
        }
    }
    Ok(Some((Protocol::Http2, peeked)))
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn protocol_of(mut bytes: &[u8]) -> Option<Protocol> {
        detect_protocol(&mut bytes)
            .await
            .unwrap()
            .map(|(version, _)| version)
    }

    #[tokio::test]
    async fn tells_the_versions_apart() {
        assert_eq!(
            protocol_of(b"GET / HTTP/1.1\r\n").await,
            Some(Protocol::Http1)
        );
        assert_eq!(
            protocol_of(b"PUT / HTTP/1.1\r\n").await,
            Some(Protocol::Http1)
        );
        assert_eq!(protocol_of(H2_PREFACE).await, Some(Protocol::Http2));
        assert_eq!(protocol_of(b"PRI * HT").await, None);
        assert_eq!(protocol_of(b"").await, None);
    }

    #[tokio::test]
    async fn gives_back_what_it_read() {
        let (_, mut peeked) = detect_protocol(&mut &b"GET /object/a HTTP/1.1\r\n"[..])
            .await
            .unwrap()
            .unwrap();
        let mut all = Vec::new();
        while !peeked.is_empty() {
            let mut part = [0; 5];
            let mut buf = ReadBuf::new(&mut part);
            peeked.read_into(&mut buf);
            all.extend_from_slice(buf.filled());
        }
        assert_eq!(all, b"GET /object/a HTTP/1.1\r\n");
    }
}
