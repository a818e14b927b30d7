//! One connection from its first byte to its last.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use http::StatusCode;
use hyper::server::conn::{http1, http2};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

use super::farewell::{self, Answer};
use super::head_timer::HeadTimer;
use super::link::Link;
use super::service::PeerService;
use super::sniff::{Version, sniff};
use super::streams::Streams;
use super::wire::Wire;
use super::{Peer, ServerSettings};

/// hyper's read and write buffers, each: what one slow reader costs, and the longest head.
const BUFFER: usize = 64 * 1024;
const MAX_HEADERS: usize = 100;

/// Of one HTTP/2 connection. The windows bound what uploads may have in memory.
const H2_STREAMS: u32 = 128;
const H2_STREAM_WINDOW: u32 = 512 * 1024;
const H2_CONNECTION_WINDOW: u32 = 2 * 1024 * 1024;
const H2_PING_EVERY: Duration = Duration::from_secs(20);
const H2_PING_ANSWER: Duration = Duration::from_secs(20);
/// Fewer bytes than this in `idle` are pings and nothing else.
const H2_QUIET_BYTES: u64 = 256;

/// Serves until the client leaves, a limit ends the connection, or `stop` asks it to finish.
pub(super) async fn serve(
    mut stream: TcpStream,
    peer: Peer,
    router: Router,
    settings: Arc<ServerSettings>,
    streams: Streams,
    stop: CancellationToken,
) {
    // Fails only where the client has left already.
    let _ = stream.set_nodelay(true);
    let opening = tokio::select! {
        opening = tokio::time::timeout(settings.header_read, sniff(&mut stream)) => opening,
        () = stop.cancelled() => return,
    };
    let Ok(Ok(Some((version, prefix)))) = opening else {
        return;
    };
    let link = Arc::new(Link::new());
    let io = TokioIo::new(Wire::new(stream, prefix, Arc::clone(&link), settings.idle));
    let service = PeerService {
        router,
        peer,
        link: Arc::clone(&link),
        idle: settings.idle,
    };
    let ending = match version {
        Version::Http1 => serve_http1(io, service, &link, &settings, &stop).await,
        Version::Http2 => serve_http2(io, service, &link, &settings, streams, &stop).await,
    };
    let Some(stream) = link.take_back() else {
        return;
    };
    match ending {
        Ending::Answer(answer) => farewell::answer(stream, &answer).await,
        Ending::Linger => farewell::after_early_answer(stream).await,
        Ending::Close => {}
    }
}

enum Ending {
    /// Nobody has answered the request yet.
    Answer(Answer),
    /// We close, and the client may still be sending.
    Linger,
    Close,
}

async fn serve_http1(
    io: TokioIo<Wire>,
    service: PeerService,
    link: &Arc<Link>,
    settings: &ServerSettings,
    stop: &CancellationToken,
) -> Ending {
    let connection = http1::Builder::new()
        .timer(HeadTimer {
            link: Arc::clone(link),
            header_read: settings.header_read,
            idle: settings.idle,
        })
        // The timer has limits of its own; a value only turns it on.
        .header_read_timeout(settings.header_read)
        .max_buf_size(BUFFER)
        .max_headers(MAX_HEADERS)
        .serve_connection(io, service);
    let mut connection = pin!(connection);
    let result = tokio::select! {
        result = connection.as_mut() => result,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.as_mut().await
        }
    };
    ending_of_http1(&result, link, settings)
}

fn ending_of_http1(result: &hyper::Result<()>, link: &Link, settings: &ServerSettings) -> Ending {
    match result {
        Err(error) if link.refused() => Ending::Answer(refusal_of(error)),
        _ if link.lost() => Ending::Close,
        Err(error) if error.is_timeout() && link.awaiting_head() => {
            if link.head_started() && !link.mid_answer() {
                Ending::Answer(Answer {
                    status: StatusCode::REQUEST_TIMEOUT,
                    code: "request_timeout",
                    message: format!(
                        "The request's headers took longer than {} s. Send them faster.",
                        settings.header_read.as_secs_f64()
                    ),
                })
            } else {
                Ending::Close
            }
        }
        // An answer broke in the middle: the client must not take it for a whole one.
        Err(_) => Ending::Close,
        Ok(()) if link.awaiting_head() && !link.head_started() => Ending::Close,
        Ok(()) => Ending::Linger,
    }
}

fn refusal_of(error: &hyper::Error) -> Answer {
    if error.is_parse_too_large() {
        Answer {
            status: StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            code: "bad_request",
            message: format!(
                "The request line and the headers may have {} KiB and {MAX_HEADERS} headers. Send less.",
                BUFFER / 1024
            ),
        }
    } else {
        Answer {
            status: StatusCode::BAD_REQUEST,
            code: "bad_request",
            message: "This is not a valid HTTP request. Check the request line and the headers."
                .to_owned(),
        }
    }
}

async fn serve_http2(
    io: TokioIo<Wire>,
    service: PeerService,
    link: &Link,
    settings: &ServerSettings,
    streams: Streams,
    stop: &CancellationToken,
) -> Ending {
    let connection = http2::Builder::new(streams)
        .timer(TokioTimer::new())
        .max_concurrent_streams(H2_STREAMS)
        .max_send_buf_size(BUFFER)
        .max_header_list_size(BUFFER as u32)
        .initial_stream_window_size(H2_STREAM_WINDOW)
        .initial_connection_window_size(H2_CONNECTION_WINDOW)
        .keep_alive_interval(H2_PING_EVERY)
        .keep_alive_timeout(H2_PING_ANSWER)
        .serve_connection(io, service);
    let mut connection = pin!(connection);
    let mut finishing = false;
    // A client may leave its windows shut, or only answer pings: nothing of that stalls a write, so
    // what moves is looked at. Quiet once: no new streams; quiet twice: over.
    let mut tick = tokio::time::interval(settings.idle);
    tick.tick().await;
    let (mut seen, mut quiet) = (link.moved(), false);
    loop {
        tokio::select! {
            result = connection.as_mut() => {
                return match result {
                    Ok(()) if !link.lost() => Ending::Linger,
                    Ok(()) | Err(_) => Ending::Close,
                };
            }
            () = stop.cancelled(), if !finishing => {
                finishing = true;
                connection.as_mut().graceful_shutdown();
            }
            _ = tick.tick() => {
                let moved = link.moved();
                let was_quiet = std::mem::replace(&mut quiet, moved - seen < H2_QUIET_BYTES);
                seen = moved;
                if quiet && was_quiet {
                    return Ending::Close;
                }
                if quiet && !finishing {
                    connection.as_mut().graceful_shutdown();
                }
            }
        }
    }
}
