//! Serves one connection: PROXY header, protocol detection, hyper, and the close.
//!
//! It decides how a head that hyper or the framing guard refuses is answered; `lingering_close` writes it.

use std::io;
use std::pin::pin;
use std::sync::Arc;

use axum::Router;
use http::StatusCode;
use hyper::server::conn::{http1, http2};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

use super::connection_io::ConnectionIo;
use super::connection_state::{ConnectionState, ReleasedSocket};
use super::framing::FramingGuard;
use super::head_timer::HeadTimer;
use super::hyper_limits::{
    BUFFER_BYTES, H2_CONNECTION_WINDOW, H2_IDLE_BYTES, H2_MAX_HEAD_BYTES, H2_MAX_STREAMS,
    H2_PING_INTERVAL, H2_PING_TIMEOUT, H2_SEND_BUFFER_BYTES, H2_STREAM_WINDOW, MAX_HEADERS,
};
use super::lingering_close::{self, ErrorAnswer, LINGER_TIMEOUT, TooMany};
use super::protocol_detection::{PeekedBytes, Protocol, detect_protocol};
use super::proxy_protocol::{self, HeaderError};
use super::service::ConnectionService;
use super::stream_executor::StreamExecutor;
use super::{Peer, Server, ServerSettings, Source};
use crate::telemetry::metrics::HTTP_CONNECTIONS_REFUSED;

/// A connection that the listener has accepted.
pub(super) struct Accepted {
    pub(super) stream: TcpStream,
    pub(super) peer: Peer,
    pub(super) router: Router,
    pub(super) server: Server,
    pub(super) streams: StreamExecutor,
}

/// Serves until the client closes, a limit ends the connection, or `stop` begins a graceful shutdown.
pub(super) async fn serve(accepted: Accepted, stop: CancellationToken) {
    let Accepted {
        mut stream,
        peer,
        router,
        server,
        streams,
    } = accepted;
    // Fails only where the client has closed already.
    let _ = stream.set_nodelay(true);
    let settings = &server.settings;
    let opening = tokio::select! {
        opening = tokio::time::timeout(settings.header_read, open(&mut stream, peer, &server)) => opening,
        () = stop.cancelled() => return,
    };
    let Ok(Ok(Some(opening))) = opening else {
        return;
    };
    let Opening {
        source,
        protocol,
        peeked,
    } = opening;
    // Connections of other peers are counted when they are accepted.
    let permit = if settings.reads_proxy_header(peer) && !settings.trusts(source) {
        let Some(permit) = server.clients.admit(source.0) else {
            metrics::counter!(HTTP_CONNECTIONS_REFUSED.name).increment(1);
            let too_many = TooMany::ConnectionsOfClient;
            return lingering_close::refuse(stream, too_many, &settings.cors).await;
        };
        Some(permit)
    } else {
        None
    };
    let state = Arc::new(ConnectionState::new());
    let (guard, stream_limit) = match protocol {
        Protocol::Http1 => (Some(FramingGuard::default()), None),
        Protocol::Http2 => {
            let limit = server.stream_limit.of_connection(settings.trusts(source));
            (None, Some(limit))
        }
    };
    let io = ConnectionIo::new(stream, peeked, guard, Arc::clone(&state), settings.idle);
    let io = TokioIo::new(io);
    let service = ConnectionService {
        router,
        peer,
        source,
        connection: Arc::clone(&state),
        settings: Arc::clone(settings),
        stream_limit,
    };
    let close = match protocol {
        Protocol::Http1 => serve_http1(io, service, &state, settings, &stop).await,
        Protocol::Http2 => serve_http2(io, service, &state, settings, streams, &stop).await,
    };
    if let Some(socket) = state.take_socket() {
        close_socket(socket, close, settings).await;
    }
    drop(permit);
}

/// What the first bytes of a connection show.
struct Opening {
    source: Source,
    protocol: Protocol,
    peeked: PeekedBytes,
}

/// `None`: there is no client to serve.
async fn open(stream: &mut TcpStream, peer: Peer, server: &Server) -> io::Result<Option<Opening>> {
    let mut source = peer.source();
    if server.settings.reads_proxy_header(peer) {
        match proxy_protocol::read_source(stream, peer.0).await {
            Ok(announced) => source = Source(announced),
            Err(HeaderError::Closed) => return Ok(None),
            Err(error) => {
                // Only trusted proxies get here, so that clients cannot fill the log.
                tracing::warn!(
                    exception.message = %error, network.peer.address = %peer.0.ip(), network.peer.port = peer.0.port(),
                    "a trusted proxy sent no valid PROXY protocol header"
                );
                return Ok(None);
            }
        }
    }
    let Some((protocol, peeked)) = detect_protocol(stream).await? else {
        return Ok(None);
    };
    Ok(Some(Opening {
        source,
        protocol,
        peeked,
    }))
}

async fn close_socket(socket: ReleasedSocket, close: Close, settings: &ServerSettings) {
    let ReleasedSocket { stream, guard } = socket;
    match close {
        Close::AnswerFirst(answer) => {
            let origin = guard.as_ref().and_then(FramingGuard::origin);
            lingering_close::answer_and_linger(stream, &answer, &settings.cors, origin).await;
        }
        Close::Linger => lingering_close::linger(stream, LINGER_TIMEOUT).await,
        Close::AtOnce => {}
    }
}

/// How the gateway closes a connection.
enum Close {
    /// The request has no answer yet.
    AnswerFirst(ErrorAnswer),
    /// The client may still be sending.
    Linger,
    AtOnce,
}

async fn serve_http1(
    io: TokioIo<ConnectionIo>,
    service: ConnectionService,
    state: &Arc<ConnectionState>,
    settings: &ServerSettings,
    stop: &CancellationToken,
) -> Close {
    let connection = http1::Builder::new()
        .timer(HeadTimer {
            state: Arc::clone(state),
            header_read: settings.header_read,
            idle: settings.idle,
        })
        // The timer has its own limits; any value enables it.
        .header_read_timeout(settings.header_read)
        .max_buf_size(BUFFER_BYTES)
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
    close_of_http1(&result, state, settings)
}

fn close_of_http1(
    result: &hyper::Result<()>,
    state: &ConnectionState,
    settings: &ServerSettings,
) -> Close {
    if let Some(reason) = state.framing_error() {
        return Close::AnswerFirst(ErrorAnswer {
            status: StatusCode::BAD_REQUEST,
            code: "bad_request",
            message: format!("This is not a valid HTTP request: {reason}."),
        });
    }
    match result {
        Err(error) if state.is_rejected() => Close::AnswerFirst(rejection(error)),
        _ if state.is_broken() => Close::AtOnce,
        Err(error) if error.is_timeout() && state.awaiting_head() => {
            if state.head_started() && !state.answer_unflushed() {
                Close::AnswerFirst(ErrorAnswer {
                    status: StatusCode::REQUEST_TIMEOUT,
                    code: "request_timeout",
                    message: format!(
                        "The request's headers took longer than {} s. Send them faster.",
                        settings.header_read.as_secs_f64()
                    ),
                })
            } else {
                Close::AtOnce
            }
        }
        // The answer is incomplete: a clean close could make the client take it for complete.
        Err(_) => Close::AtOnce,
        Ok(()) if state.awaiting_head() && !state.head_started() => Close::AtOnce,
        Ok(()) => Close::Linger,
    }
}

fn rejection(error: &hyper::Error) -> ErrorAnswer {
    if error.is_parse_too_large() {
        ErrorAnswer {
            status: StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            code: "bad_request",
            message: format!(
                "The request line and the headers may have {} KiB and {MAX_HEADERS} headers. Send less.",
                BUFFER_BYTES / 1024
            ),
        }
    } else {
        ErrorAnswer {
            status: StatusCode::BAD_REQUEST,
            code: "bad_request",
            message: "This is not a valid HTTP request. Check the request line and the headers."
                .to_owned(),
        }
    }
}

async fn serve_http2(
    io: TokioIo<ConnectionIo>,
    service: ConnectionService,
    state: &ConnectionState,
    settings: &ServerSettings,
    streams: StreamExecutor,
    stop: &CancellationToken,
) -> Close {
    let connection = http2::Builder::new(streams)
        .timer(TokioTimer::new())
        .max_concurrent_streams(H2_MAX_STREAMS)
        .max_send_buf_size(H2_SEND_BUFFER_BYTES)
        .max_header_list_size(H2_MAX_HEAD_BYTES)
        .initial_stream_window_size(H2_STREAM_WINDOW)
        .initial_connection_window_size(H2_CONNECTION_WINDOW)
        .keep_alive_interval(H2_PING_INTERVAL)
        .keep_alive_timeout(H2_PING_TIMEOUT)
        .serve_connection(io, service);
    let mut connection = pin!(connection);
    let mut finishing = false;
    // A client that keeps its windows closed, or only answers pings, blocks no write. So transferred
    // bytes are counted: after one idle interval no new streams, after two the connection is closed.
    let mut tick = tokio::time::interval(settings.idle);
    tick.tick().await;
    let (mut seen, mut idle) = (state.transferred(), false);
    loop {
        tokio::select! {
            result = connection.as_mut() => {
                return match result {
                    Ok(()) if !state.is_broken() => Close::Linger,
                    Ok(()) | Err(_) => Close::AtOnce,
                };
            }
            () = stop.cancelled(), if !finishing => {
                finishing = true;
                connection.as_mut().graceful_shutdown();
            }
            _ = tick.tick() => {
                let transferred = state.transferred();
                let was_idle = std::mem::replace(&mut idle, transferred - seen < H2_IDLE_BYTES);
                seen = transferred;
                if idle && was_idle {
                    return Close::AtOnce;
                }
                if idle && !finishing {
                    connection.as_mut().graceful_shutdown();
                }
            }
        }
    }
}
