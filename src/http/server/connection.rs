//! One connection from its first byte to its last.

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
use super::lingering_close::{self, Answer, TooMany};
use super::protocol_detection::{PeekedBytes, Protocol, detect_protocol};
use super::proxy_protocol::{self, HeaderError};
use super::service::ConnectionService;
use super::stream_executor::StreamExecutor;
use super::{Peer, Server, ServerSettings, Source};
use crate::telemetry::metrics::HTTP_CONNECTIONS_REFUSED;

/// A connection as the listener has it.
pub(super) struct Accepted {
    pub(super) stream: TcpStream,
    pub(super) peer: Peer,
    pub(super) router: Router,
    pub(super) server: Server,
    pub(super) streams: StreamExecutor,
}

/// Serves until the client leaves, a limit ends the connection, or `stop` asks it to finish.
pub(super) async fn serve(accepted: Accepted, stop: CancellationToken) {
    let Accepted {
        mut stream,
        peer,
        router,
        server,
        streams,
    } = accepted;
    // Fails only where the client has left already.
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
    // Those of other peers are counted when they are accepted.
    let counted = if settings.reads_proxy_header(peer) && !settings.trusts(source) {
        let Some(counted) = server.clients.admit(source.0) else {
            metrics::counter!(HTTP_CONNECTIONS_REFUSED.name).increment(1);
            let too_many = TooMany::ConnectionsOfClient;
            return lingering_close::refuse(stream, too_many, &settings.cors).await;
        };
        Some(counted)
    } else {
        None
    };
    let link = Arc::new(ConnectionState::new());
    let (guard, budget) = match protocol {
        Protocol::Http1 => (Some(FramingGuard::default()), None),
        Protocol::Http2 => {
            let budget = server.budget.of_connection(settings.trusts(source));
            (None, Some(budget))
        }
    };
    let io = ConnectionIo::new(stream, peeked, guard, Arc::clone(&link), settings.idle);
    let io = TokioIo::new(io);
    let service = ConnectionService {
        router,
        peer,
        source,
        link: Arc::clone(&link),
        settings: Arc::clone(settings),
        budget,
    };
    let ending = match protocol {
        Protocol::Http1 => serve_http1(io, service, &link, settings, &stop).await,
        Protocol::Http2 => serve_http2(io, service, &link, settings, streams, &stop).await,
    };
    if let Some(returned) = link.take_back() {
        end(returned, ending, settings).await;
    }
    drop(counted);
}

/// What the first bytes of a connection tell.
struct Opening {
    source: Source,
    protocol: Protocol,
    peeked: PeekedBytes,
}

/// `None` where there is nobody to serve.
async fn open(stream: &mut TcpStream, peer: Peer, server: &Server) -> io::Result<Option<Opening>> {
    let mut source = peer.source();
    if server.settings.reads_proxy_header(peer) {
        match proxy_protocol::read_source(stream, peer.0).await {
            Ok(announced) => source = Source(announced),
            Err(HeaderError::Nothing) => return Ok(None),
            Err(error) => {
                // Only what the operator trusts comes here: a client cannot fill the log.
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

async fn end(returned: ReleasedSocket, ending: Ending, settings: &ServerSettings) {
    let ReleasedSocket { stream, guard } = returned;
    match ending {
        Ending::Answer(answer) => {
            let origin = guard.as_ref().and_then(FramingGuard::origin);
            lingering_close::answer(stream, &answer, &settings.cors, origin).await;
        }
        Ending::Linger => lingering_close::after_early_answer(stream).await,
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
    io: TokioIo<ConnectionIo>,
    service: ConnectionService,
    link: &Arc<ConnectionState>,
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
    ending_of_http1(&result, link, settings)
}

fn ending_of_http1(
    result: &hyper::Result<()>,
    link: &ConnectionState,
    settings: &ServerSettings,
) -> Ending {
    if let Some(why) = link.refused_because() {
        return Ending::Answer(Answer {
            status: StatusCode::BAD_REQUEST,
            code: "bad_request",
            message: format!("This is not a valid HTTP request: {why}."),
        });
    }
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
                BUFFER_BYTES / 1024
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
    io: TokioIo<ConnectionIo>,
    service: ConnectionService,
    link: &ConnectionState,
    settings: &ServerSettings,
    streams: StreamExecutor,
    stop: &CancellationToken,
) -> Ending {
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
                let was_quiet = std::mem::replace(&mut quiet, moved - seen < H2_IDLE_BYTES);
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
