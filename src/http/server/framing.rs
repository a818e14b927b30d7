//! Guard against request smuggling: checks the framing of HTTP/1 requests before hyper reads them.
//!
//! hyper silently accepts framing that two readers could read in two ways: `Content-Length` beside
//! `Transfer-Encoding`, lines that end with a bare LF, chunk extensions. A proxy that reads them the other
//! way would see other requests than the gateway. The guard stops at the first ambiguous byte (RFC 9112).
//! Every rule is stricter than hyper's, so that both read accepted bytes in the same way.

use super::hyper_limits::BUFFER_BYTES;
use super::request_head::{Framing, Head, name_and_value};

/// hyper refuses a head with a longer line (431) and closes: no later byte is read as a request.
const MAX_LINE_BYTES: usize = BUFFER_BYTES;
/// Digits of a chunk's size: 64 bits.
const MAX_SIZE_DIGITS: usize = 16;

/// Where a connection's framing becomes ambiguous, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FramingViolation {
    /// How many of the bytes checked last hyper may read.
    pub(super) accepted: usize,
    /// A request without a complete head reaches no handler, so the connection's task has to answer.
    pub(super) in_head: bool,
    /// For the client.
    pub(super) reason: &'static str,
}

/// Checks all bytes of one connection.
#[derive(Debug)]
pub(super) struct FramingGuard {
    state: State,
    /// The beginning of a line whose end has not arrived.
    line: Vec<u8>,
    head: Head,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    RequestLine,
    Header,
    /// Bytes left of a body with `Content-Length`.
    Body(u64),
    ChunkSize,
    /// Bytes left of a chunk.
    Chunk(u64),
    /// CR and LF after a chunk.
    ChunkEnd,
    Trailer,
    /// A line is too long: hyper refuses the request.
    LeftToHyper,
}

impl Default for FramingGuard {
    fn default() -> Self {
        Self {
            state: State::RequestLine,
            line: Vec::new(),
            head: Head::default(),
        }
    }
}

impl FramingGuard {
    /// The `Origin` of the latest head, where it was read.
    pub(super) fn origin(&self) -> Option<&[u8]> {
        self.head.origin()
    }

    /// Checks the next `bytes` of the connection.
    ///
    /// # Errors
    /// The framing is ambiguous. The guard must not be used any more.
    pub(super) fn check(&mut self, bytes: &[u8]) -> Result<(), FramingViolation> {
        // Where the current head begins.
        let mut head_from = 0;
        let mut at = 0;
        while at < bytes.len() {
            let rest = &bytes[at..];
            match self.state {
                State::LeftToHyper => return Ok(()),
                State::Body(left) => {
                    at += skip(rest, left);
                    self.state = match left - skip(rest, left) as u64 {
                        0 => State::RequestLine,
                        left => State::Body(left),
                    };
                    head_from = at;
                }
                State::Chunk(left) => {
                    at += skip(rest, left);
                    self.state = match left - skip(rest, left) as u64 {
                        0 => State::ChunkEnd,
                        left => State::Chunk(left),
                    };
                }
                State::RequestLine
                | State::Header
                | State::ChunkSize
                | State::ChunkEnd
                | State::Trailer => {
                    let in_head = matches!(self.state, State::RequestLine | State::Header);
                    let violation = |reason| FramingViolation {
                        accepted: if in_head { head_from } else { at },
                        in_head,
                        reason,
                    };
                    let Some(end) = rest.iter().position(|byte| *byte == b'\n') else {
                        return self.keep(rest).map_err(violation);
                    };
                    let line = &rest[..end];
                    let result = if self.line.is_empty() {
                        self.line_read(line)
                    } else {
                        self.line.extend_from_slice(line);
                        let line = std::mem::take(&mut self.line);
                        self.line_read(&line)
                    };
                    if let Err(reason) = result {
                        if self.state == State::RequestLine {
                            self.head = Head::default();
                        }
                        if in_head {
                            // The answer's CORS headers need it.
                            self.head.look_for_origin(&rest[end + 1..]);
                        }
                        return Err(violation(reason));
                    }
                    at += end + 1;
                    if self.state == State::RequestLine {
                        head_from = at;
                    }
                }
            }
        }
        Ok(())
    }

    /// Keeps the beginning of a line.
    fn keep(&mut self, beginning: &[u8]) -> Result<(), &'static str> {
        let length = self.line.len() + beginning.len();
        match self.state {
            State::ChunkSize if length > MAX_SIZE_DIGITS + 1 => return Err(CHUNK_SIZE),
            State::ChunkEnd if length > 1 => return Err(CHUNK_END),
            _ if length > MAX_LINE_BYTES => {
                self.line = Vec::new();
                self.state = State::LeftToHyper;
            }
            _ => self.line.extend_from_slice(beginning),
        }
        Ok(())
    }

    /// One line, without its LF.
    fn line_read(&mut self, line: &[u8]) -> Result<(), &'static str> {
        let line = line
            .strip_suffix(b"\r")
            .ok_or("a line ends with LF without CR")?;
        if line.iter().any(|byte| matches!(byte, b'\r' | b'\0')) {
            return Err("a line has a CR or a NUL in it");
        }
        self.state = match self.state {
            // RFC 9112 §2.2: an empty line before a request is no request.
            State::RequestLine if line.is_empty() => State::RequestLine,
            State::RequestLine => {
                self.head = Head::begun(line)?;
                State::Header
            }
            State::Header if line.is_empty() => match self.head.framing()? {
                Framing::Length(0) => State::RequestLine,
                Framing::Length(length) => State::Body(length),
                Framing::Chunked => State::ChunkSize,
            },
            State::Header => {
                self.head.field(line)?;
                State::Header
            }
            State::ChunkSize => match chunk_size(line)? {
                0 => State::Trailer,
                size => State::Chunk(size),
            },
            State::ChunkEnd if line.is_empty() => State::ChunkSize,
            State::ChunkEnd => return Err(CHUNK_END),
            State::Trailer if line.is_empty() => State::RequestLine,
            State::Trailer => {
                name_and_value(line)?;
                State::Trailer
            }
            other @ (State::Body(_) | State::Chunk(_) | State::LeftToHyper) => other,
        };
        Ok(())
    }
}

const CHUNK_SIZE: &str = "the size of a chunk is not a hexadecimal number alone";
const CHUNK_END: &str = "a chunk is not followed by CR and LF";

/// How many of `bytes` belong to a body of which `left` bytes are left.
fn skip(bytes: &[u8], left: u64) -> usize {
    usize::try_from(left).map_or(bytes.len(), |left| left.min(bytes.len()))
}

/// Chunk extensions are refused: they are unused, and readers differ in where they end.
fn chunk_size(line: &[u8]) -> Result<u64, &'static str> {
    let digits = std::str::from_utf8(line).map_err(|_| CHUNK_SIZE)?;
    let is_number = (1..=MAX_SIZE_DIGITS).contains(&digits.len())
        && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    let size = is_number
        .then(|| u64::from_str_radix(digits, 16).ok())
        .flatten();
    // Another reader may take a number above 2^63 for a negative one.
    size.filter(|size| i64::try_from(*size).is_ok())
        .ok_or(CHUNK_SIZE)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The offset of the first violation when `bytes` arrive in pieces of this size.
    fn checked(bytes: &[u8], piece: usize) -> Result<(), (usize, &'static str)> {
        let mut guard = FramingGuard::default();
        for (number, piece_of) in bytes.chunks(piece).enumerate() {
            guard
                .check(piece_of)
                .map_err(|found| (number * piece + found.accepted, found.reason))?;
        }
        Ok(())
    }

    const TWO: &[u8] = b"PUT /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nx\r\n\r\n0\r\n\r\n\
        GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n\n\n\n\nGET / HTTP/1.1\r\nHost: a\r\n\r\n";

    #[test]
    fn requests_are_checked_in_pieces_of_any_size() {
        for piece in 1..TWO.len() {
            assert_eq!(checked(TWO, piece), Ok(()), "{piece}");
        }
    }

    #[test]
    fn bytes_before_a_violation_are_accepted() {
        let bad = b"GET / HTTP/1.1\r\nHost: a\nX: y\r\n\r\n";
        let all = [TWO, bad].concat();
        assert_eq!(checked(&all, all.len()).unwrap_err().0, TWO.len());
        let chunked = b"PUT /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n";
        let all = [&chunked[..], b"1;x\r\nx\r\n0\r\n\r\n"].concat();
        assert_eq!(checked(&all, all.len()).unwrap_err().0, chunked.len());
        for piece in 1..all.len() {
            assert!(checked(&all, piece).is_err(), "{piece}");
        }
    }

    #[test]
    fn chunk_sizes_are_plain_hexadecimal_numbers() {
        for (line, size) in [
            ("0", 0),
            ("00", 0),
            ("a", 10),
            ("Ff", 255),
            ("7fffffffffffffff", i64::MAX as u64),
        ] {
            assert_eq!(chunk_size(line.as_bytes()), Ok(size), "{line}");
        }
        for line in [
            "",
            "+1",
            "-1",
            "0x1",
            "1 ",
            " 1",
            "1;x",
            "g",
            "8000000000000000",
            "00000000000000001",
        ] {
            assert_eq!(chunk_size(line.as_bytes()), Err(CHUNK_SIZE), "{line}");
        }
    }

    #[test]
    fn a_line_that_is_too_long_is_left_to_hyper() {
        let long = [
            b"GET / HTTP/1.1\r\nX: ",
            vec![b'y'; 2 * MAX_LINE_BYTES].as_slice(),
            b"\n\n",
        ]
        .concat();
        assert_eq!(checked(&long, 4096), Ok(()));
    }
}
