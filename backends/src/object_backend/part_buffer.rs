//! Pieces of an upload until they are worth a request or a system call.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};

/// Smaller pieces are copied together: each would cost more than its bytes, and keep the whole
/// buffer alive that it was cut from.
const SMALL: usize = 4 * 1024;
/// Bytes of small pieces in one block.
const BLOCK: usize = 64 * 1024;

#[derive(Default)]
pub struct PartBuffer {
    pieces: VecDeque<Bytes>,
    block: BytesMut,
    length: u64,
}

impl PartBuffer {
    pub fn push(&mut self, piece: Bytes) {
        self.length += piece.len() as u64;
        if piece.len() < SMALL {
            self.block.extend_from_slice(&piece);
            if self.block.len() >= BLOCK {
                self.close_block();
            }
        } else {
            self.close_block();
            self.pieces.push_back(piece);
        }
    }

    /// Bytes that are here.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// All of them, in order; none is empty.
    pub fn take(&mut self) -> VecDeque<Bytes> {
        self.close_block();
        self.length = 0;
        std::mem::take(&mut self.pieces)
    }

    fn close_block(&mut self) {
        if !self.block.is_empty() {
            self.pieces
                .push_back(std::mem::take(&mut self.block).freeze());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_is_kept_and_small_pieces_are_joined() {
        let mut gather = PartBuffer::default();
        let mut expected = Vec::new();
        for (length, times) in [(1, 100_000), (SMALL, 3), (0, 5), (100, 2), (SMALL - 1, 2)] {
            for time in 0..times {
                let piece = Bytes::from(vec![(time % 251) as u8; length]);
                expected.extend_from_slice(&piece);
                gather.push(piece);
            }
        }
        assert_eq!(gather.length(), expected.len() as u64);
        let pieces = gather.take();
        assert_eq!(pieces.len(), 2 + 3 + 1);
        assert!(pieces.iter().all(|piece| !piece.is_empty()));
        assert_eq!(Vec::from(pieces).concat(), expected);
        assert_eq!(gather.length(), 0);
        assert!(gather.take().is_empty());
    }
}
