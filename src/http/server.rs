//! Listeners and connections: HTTP/1.1 and h2c (prior knowledge) under an axum [`Router`].
//!
//! In reading order:
//! - [`bind`]: opens the listening socket. `client_connections`: connection limit for each client.
//! - `connection`: one connection. `lingering_close`: error answers without a handler (400, 408, 431, 503),
//!   and the close after them. `proxy_protocol`: the client's address from a proxy.
//!   `protocol_detection`: HTTP/1 or h2c. `hyper_limits`: sizes and times for hyper.
//! - `connection_io`: the socket as hyper sees it. `connection_state`: flags shared within a connection.
//! - `framing`, `request_head`: guard against request smuggling.
//! - `head_timer`: time limit for headers. `idle_timeout`: time limit without progress.
//! - `service`: calls the router. `stream_limit`: HTTP/2 streams answered at the same time.
//! - `drain_on_drop`: the rest of HTTP/2 uploads that were answered early. `stream_executor`: tasks of HTTP/2
//!   streams.

mod bind;
mod client_connections;
mod connection;
mod connection_io;
mod connection_state;
mod drain_on_drop;
mod framing;
mod head_timer;
mod hyper_limits;
mod idle_timeout;
mod lingering_close;
mod protocol_detection;
mod proxy_protocol;
mod request_head;
mod service;
mod stream_executor;
mod stream_limit;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use asset_gateway_backends::client_address::ClientAddress;
use axum::Router;
use ipnet::IpNet;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::{JoinError, JoinSet};

use super::forwarded::is_trusted;
use crate::config::CorsConfig;
use crate::shutdown::Shutdown;
use crate::telemetry::metrics::{HTTP_CONNECTIONS, HTTP_CONNECTIONS_REFUSED};

pub use bind::{BindError, bind};
use client_connections::ClientConnections;
use connection::Accepted;
pub use idle_timeout::UploadIdleTimeout;
use lingering_close::TooMany;
use stream_executor::StreamExecutor;
use stream_limit::StreamLimit;

/// Refusals that are answered at the same time; beyond it, connections are closed without an answer.
const MAX_REFUSALS: usize = 256;
/// Pause after an error of the process, not of one connection (no descriptors left).
const ACCEPT_PAUSE: Duration = Duration::from_millis(250);

/// How long the shutdown waits for tasks of HTTP/2 streams, so that a blocked handler cannot delay it.
const STREAM_TASKS_GRACE: Duration = Duration::from_secs(1);

/// Limits of every connection.
#[derive(Debug, Clone)]
pub struct ServerSettings {
    /// From a request's first byte to the end of its headers; also from accept to the first byte.
    pub header_read: Duration,
    /// How long a client may read nothing of an answer, send nothing of an upload, or keep an idle
    /// connection open.
    pub idle: Duration,
    /// Connections at the same time, over all listeners of a [`Server`].
    pub max_connections: usize,
    /// Connections of one client at the same time, see [`ClientAddress::network`]; trusted proxies are
    /// excepted.
    pub max_connections_per_client: usize,
    /// Networks of proxies that forward requests of others.
    pub trusted_proxies: Arc<[IpNet]>,
    /// Connections of trusted proxies begin with a header of the PROXY protocol.
    pub proxy_protocol: bool,
    /// For answers without a handler.
    pub cors: CorsConfig,
    /// How long open connections may continue after the shutdown has begun.
    pub shutdown: Duration,
}

impl Default for ServerSettings {
    fn default() -> Self {
        Self {
            header_read: Duration::from_secs(10),
            idle: Duration::from_secs(60),
            max_connections: 10_000,
            max_connections_per_client: 2_500,
            trusted_proxies: Arc::default(),
            proxy_protocol: false,
            cors: CorsConfig::default(),
            shutdown: Duration::from_secs(30),
        }
    }
}

impl ServerSettings {
    fn trusts(&self, source: Source) -> bool {
        is_trusted(source.0, &self.trusted_proxies)
    }

    fn reads_proxy_header(&self, peer: Peer) -> bool {
        self.proxy_protocol && self.trusts(peer.source())
    }
}

/// Request extension: the address at the other end of the connection. IPv4-mapped addresses are IPv4.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer(pub SocketAddr);

/// Request extension: the client of the connection, which is the peer or the client that a trusted proxy
/// names (PROXY protocol).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Source(pub ClientAddress);

impl Peer {
    fn source(self) -> Source {
        Source(self.0.ip().into())
    }

    fn canonical(address: SocketAddr) -> Self {
        Self(SocketAddr::new(address.ip().to_canonical(), address.port()))
    }
}

/// Serves routers on listeners. All listeners and clones share one connection limit.
#[derive(Debug, Clone)]
pub struct Server {
    settings: Arc<ServerSettings>,
    connections: Arc<Semaphore>,
    clients: ClientConnections,
    stream_limit: StreamLimit,
    refusals: Arc<Semaphore>,
}

impl Server {
    pub fn new(settings: ServerSettings) -> Self {
        let connections = settings.max_connections.clamp(1, Semaphore::MAX_PERMITS);
        Self {
            clients: ClientConnections::new(settings.max_connections_per_client),
            stream_limit: StreamLimit::default(),
            settings: Arc::new(settings),
            connections: Arc::new(Semaphore::new(connections)),
            refusals: Arc::new(Semaphore::new(MAX_REFUSALS)),
        }
    }

    /// Accepts until the shutdown begins, then closes the listener. Returns when all connections have
    /// ended, the time is up, or the shutdown is forced; connections that are left are cut off. Dropping
    /// the future cuts off all connections.
    pub async fn run(&self, listener: TcpListener, router: Router, shutdown: Shutdown) {
        let mut open = JoinSet::new();
        let streams = StreamExecutor::default();
        loop {
            tokio::select! {
                biased;
                () = shutdown.begun() => break,
                Some(ended) = open.join_next(), if !open.is_empty() => report(ended),
                accepted = listener.accept() => match accepted {
                    Ok((stream, peer)) => {
                        let peer = Peer::canonical(peer);
                        self.admit(&mut open, stream, peer, &router, &streams, &shutdown);
                    }
                    Err(error) if concerns_one_connection(&error) => {}
                    Err(error) => {
                        tracing::warn!(exception.message = %error, "cannot accept connections");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                },
            }
        }
        drop(listener);

        let all_ended = async {
            while let Some(ended) = open.join_next().await {
                report(ended);
            }
        };
        let in_time = tokio::select! {
            () = all_ended => true,
            () = shutdown.forced() => false,
            () = tokio::time::sleep(self.settings.shutdown) => false,
        };
        if !in_time {
            tracing::warn!(connections = open.len(), "cutting off connections");
            open.shutdown().await;
        }
        // Their commits and releases have begun when this returns.
        let _ = tokio::time::timeout(STREAM_TASKS_GRACE, streams.wait()).await;
    }

    fn admit(
        &self,
        open: &mut JoinSet<()>,
        stream: TcpStream,
        peer: Peer,
        router: &Router,
        streams: &StreamExecutor,
        shutdown: &Shutdown,
    ) {
        // A proxy's connections are counted for the client that its PROXY header names.
        let client_permit = if self.settings.trusts(peer.source()) {
            None
        } else {
            let Some(permit) = self.clients.admit(peer.source().0) else {
                return self.refuse(open, stream, TooMany::ConnectionsOfClient);
            };
            Some(permit)
        };
        let Ok(permit) = Arc::clone(&self.connections).try_acquire_owned() else {
            return self.refuse(open, stream, TooMany::Connections);
        };
        let accepted = Accepted {
            stream,
            peer,
            router: router.clone(),
            server: self.clone(),
            streams: streams.clone(),
        };
        let stop = shutdown.token();
        open.spawn(async move {
            let gauge = metrics::gauge!(HTTP_CONNECTIONS.name);
            gauge.increment(1);
            // Dropped wherever the task ends.
            let _guard = (permit, client_permit, Decrement(gauge));
            connection::serve(accepted, stop).await;
        });
    }

    fn refuse(&self, open: &mut JoinSet<()>, stream: TcpStream, too_many: TooMany) {
        metrics::counter!(HTTP_CONNECTIONS_REFUSED.name).increment(1);
        if let Ok(permit) = Arc::clone(&self.refusals).try_acquire_owned() {
            let settings = Arc::clone(&self.settings);
            open.spawn(async move {
                lingering_close::refuse(stream, too_many, &settings.cors).await;
                drop(permit);
            });
        }
    }
}

struct Decrement(metrics::Gauge);

impl Drop for Decrement {
    fn drop(&mut self) {
        self.0.decrement(1);
    }
}

fn report(ended: Result<(), JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        tracing::error!(exception.message = %error, "a connection's task panicked");
    }
}

/// Whether the next connection can be accepted without a pause.
fn concerns_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::Interrupted
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ipv4_mapped_peers_are_ipv4() {
        let mapped: SocketAddr = "[::ffff:192.0.2.7]:4000".parse().unwrap();
        assert_eq!(
            Peer::canonical(mapped).0,
            "192.0.2.7:4000".parse::<SocketAddr>().unwrap()
        );
        let v6: SocketAddr = "[2001:db8::1]:4000".parse().unwrap();
        assert_eq!(Peer::canonical(v6).0, v6);
    }

    #[test]
    fn accepting_pauses_when_descriptors_run_out() {
        const EMFILE: i32 = 24;
        assert!(!concerns_one_connection(&io::Error::from_raw_os_error(
            EMFILE
        )));
        assert!(concerns_one_connection(&io::Error::from(
            io::ErrorKind::ConnectionAborted
        )));
    }
}
