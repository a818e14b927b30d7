//! hyper's limits: longest head and number of headers (beyond them: 431), HTTP/2 windows, pings.

use std::time::Duration;

/// hyper's read buffer and its write buffer: the memory of one slow reader, and the longest head.
pub(super) const BUFFER_BYTES: usize = 64 * 1024;
pub(super) const MAX_HEADERS: usize = 100;

/// Streams of one HTTP/2 connection. The windows bound what uploads hold in memory, the send buffer
/// what a stream has read of its answer; [`super::stream_limit`] bounds how many streams are answered.
pub(super) const H2_MAX_STREAMS: u32 = 128;
pub(super) const H2_STREAM_WINDOW: u32 = 64 * 1024;
pub(super) const H2_CONNECTION_WINDOW: u32 = 128 * 1024;
pub(super) const H2_SEND_BUFFER_BYTES: usize = 16 * 1024;
pub(super) const H2_MAX_HEAD_BYTES: u32 = 16 * 1024;
pub(super) const H2_PING_INTERVAL: Duration = Duration::from_secs(20);
pub(super) const H2_PING_TIMEOUT: Duration = Duration::from_secs(20);
/// A connection that moves fewer bytes within the idle timeout moves pings only.
pub(super) const H2_IDLE_BYTES: u64 = 256;
