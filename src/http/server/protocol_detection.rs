//! Protocol detection: HTTP/1 or HTTP/2 (prior knowledge) by the first bytes of a connection.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt, ReadBuf};

/// RFC 9113 §3.4.
const H2_PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Protocol {
    Http1,
    Http2,
}

/// Bytes that protocol detection has read; hyper reads them again.
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

    /// Moves as many bytes as `buf` has space for.
    pub(super) fn read_into(&mut self, buf: &mut ReadBuf<'_>) {
        let left = &self.bytes[self.read..self.filled];
        let fits = left.len().min(buf.remaining());
        buf.put_slice(&left[..fits]);
        self.read += fits;
    }
}

/// Reads until the protocol is clear. `None`: the client has closed the connection before.
///
/// The caller sets the time limit. hyper-util's own detection has none: a client that sends nothing,
/// or half a preface, would keep its connection for ever.
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
        let detected = detect_protocol(&mut bytes).await.unwrap();
        detected.map(|(protocol, _)| protocol)
    }

    #[tokio::test]
    async fn protocols_are_told_apart_by_the_preface() {
        for (bytes, protocol) in [
            (&b"GET / HTTP/1.1\r\n"[..], Some(Protocol::Http1)),
            (b"PUT / HTTP/1.1\r\n", Some(Protocol::Http1)),
            (H2_PREFACE, Some(Protocol::Http2)),
            (b"PRI * HT", None),
            (b"", None),
        ] {
            assert_eq!(protocol_of(bytes).await, protocol);
        }
    }

    #[tokio::test]
    async fn peeked_bytes_are_read_again() {
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
