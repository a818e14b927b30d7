//! Chunks of an upload, buffered until they are worth a request or a system call.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};

/// Smaller chunks are copied together: each would cost more than its bytes, and keep alive the whole
/// buffer that it is a slice of.
const SMALL_CHUNK_BYTES: usize = 4 * 1024;
/// Bytes of joined small chunks.
const BLOCK_BYTES: usize = 64 * 1024;

#[derive(Default)]
pub struct PartBuffer {
    chunks: VecDeque<Bytes>,
    block: BytesMut,
    length: u64,
}

impl PartBuffer {
    pub fn push(&mut self, chunk: Bytes) {
        self.length += chunk.len() as u64;
        if chunk.len() < SMALL_CHUNK_BYTES {
            self.block.extend_from_slice(&chunk);
            if self.block.len() >= BLOCK_BYTES {
                self.close_block();
            }
        } else {
            self.close_block();
            self.chunks.push_back(chunk);
        }
    }

    /// Bytes in the buffer.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Empties the buffer: all chunks in order, none of them empty.
    pub fn take(&mut self) -> VecDeque<Bytes> {
        self.close_block();
        self.length = 0;
        std::mem::take(&mut self.chunks)
    }

    fn close_block(&mut self) {
        if !self.block.is_empty() {
            self.chunks
                .push_back(std::mem::take(&mut self.block).freeze());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_chunks_are_joined_in_order() {
        let mut buffer = PartBuffer::default();
        let mut expected = Vec::new();
        for (length, times) in [
            (1, 100_000),
            (SMALL_CHUNK_BYTES, 3),
            (0, 5),
            (100, 2),
            (SMALL_CHUNK_BYTES - 1, 2),
        ] {
            for time in 0..times {
                let chunk = Bytes::from(vec![(time % 251) as u8; length]);
                expected.extend_from_slice(&chunk);
                buffer.push(chunk);
            }
        }
        assert_eq!(buffer.length(), expected.len() as u64);
        let chunks = buffer.take();
        assert_eq!(chunks.len(), 2 + 3 + 1);
        assert!(chunks.iter().all(|chunk| !chunk.is_empty()));
        assert_eq!(Vec::from(chunks).concat(), expected);
        assert_eq!(buffer.length(), 0);
        assert!(buffer.take().is_empty());
    }
}
