//! The connection to Redis: to one server, to the master that sentinels name, or to the masters of a cluster.
//!
//! While a server is away, requests to it fail at once. A request is sent once: what must happen in spite of an
//! outage is repeated by the [retry queue](super::store::retry_queue).
//!
//! - `request`: what is sent, and why it may have no reply.
//! - `server`: the connection to one server, and its reconnects.
//! - `cluster`, `slots`: a connection to each master of a cluster, and which partitions it serves.
//! - `connector`: addresses, logins, TLS, sentinels.
//! - `replicas`: waits until replicas have what was written (`WAIT`).

mod cluster;
mod connector;
mod replicas;
mod request;
mod server;
mod slots;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::keys::{self, Partition, all_partitions};
use crate::error::Result;
use crate::settings::{RedisMode, RedisSettings};
use cluster::ClusterConnection;
use connector::{Connector, Target};
pub use request::{Request, RequestError};
use server::ServerConnection;

/// A probe writes to every 16th partition until one answers: these are spread over all masters of a usual cluster.
const PROBE_STEP: usize = 16;
const PROBE_TTL_SECONDS: u64 = 60;

pub struct Connection {
    topology: Topology,
    /// Whether Redis has answered that it holds no unfinished import, or imports are the use of this connection.
    may_be_used: AtomicBool,
}

enum Topology {
    Server(ServerConnection),
    Cluster(ClusterConnection),
}

impl Connection {
    /// Uses no network.
    pub fn check_settings(settings: &RedisSettings) -> Result<()> {
        Connector::new(settings).map(drop)
    }

    /// Begins to connect; must be called inside a Tokio runtime.
    pub fn open(settings: &RedisSettings) -> Result<Self> {
        Ok(Self {
            topology: Topology::open(settings)?,
            may_be_used: AtomicBool::new(false),
        })
    }

    /// [`open`](Self::open) for imports: an unfinished one is no obstacle.
    pub fn open_offline(settings: &RedisSettings) -> Result<Self> {
        Ok(Self {
            topology: Topology::open(settings)?,
            may_be_used: AtomicBool::new(true),
        })
    }

    /// Sends a request about one partition, once. Returns when as many replicas as are configured have what it wrote.
    pub async fn request<R: Request>(
        &self,
        partition: Partition,
        request: &R,
    ) -> Result<R::Reply, RequestError> {
        self.refuse_unfinished_import().await?;
        self.topology.request(partition, request).await
    }

    /// Redis takes writes. One master of a cluster is enough: the other partitions are away for every gateway, so it
    /// would not help to drain this one.
    pub async fn ping(&self) -> Result<()> {
        let passed = self.refuse_unfinished_import().await;
        let reply = match passed {
            Ok(()) => self.topology.probe().await,
            Err(error) => Err(error),
        };
        reply.map_err(|error| error.of("redis.ping"))
    }

    /// Refuses a Redis that holds an unfinished import. Once there is no marker of one, no request looks again: an
    /// import refuses to begin while a node uses the store. Without a reply the request goes on, and the next one asks
    /// again: the other masters of a cluster serve while this one is away.
    async fn refuse_unfinished_import(&self) -> Result<(), RequestError> {
        if self.may_be_used.load(Ordering::Relaxed) {
            return Ok(());
        }
        let mut get_marker = redis::cmd("GET");
        get_marker.arg(keys::key(keys::FIRST_PARTITION, keys::IMPORT_MARKER));
        let reply = self.topology.request(keys::FIRST_PARTITION, &get_marker);
        match reply.await {
            Ok(redis::Value::Nil) => self.may_be_used.store(true, Ordering::Relaxed),
            Ok(_) => {
                return Err(RequestError::NotSent(
                    "an import into this store has not ended: run `asset-gateway store import` again \
                     with the same archive",
                ));
            }
            Err(_) => {}
        }
        Ok(())
    }
}

impl Topology {
    fn open(settings: &RedisSettings) -> Result<Self> {
        let connector = Connector::new(settings)?;
        let wait_replicas = settings.wait_replicas;
        let server = |target| {
            Self::Server(ServerConnection::open(
                target,
                wait_replicas,
                Arc::default(),
            ))
        };
        Ok(match settings.mode {
            RedisMode::Standalone => server(Target::Server {
                connector,
                address: settings.addresses.first().cloned().unwrap_or_default(),
            }),
            RedisMode::Sentinel => server(Target::Master {
                connector,
                sentinels: settings.addresses.clone(),
                name: settings.master_name.clone(),
            }),
            RedisMode::Cluster => {
                let seeds = settings.addresses.clone();
                Self::Cluster(ClusterConnection::open(connector, seeds, wait_replicas))
            }
        })
    }

    async fn request<R: Request>(
        &self,
        partition: Partition,
        request: &R,
    ) -> Result<R::Reply, RequestError> {
        match self {
            Self::Server(server) => server.request(request).await,
            Self::Cluster(cluster) => cluster.request(partition, request).await,
        }
    }

    /// A master takes a write.
    async fn probe(&self) -> Result<(), RequestError> {
        let reply = match self {
            Self::Server(server) => server.request(&write_probe(keys::FIRST_PARTITION)).await,
            Self::Cluster(cluster) => {
                let mut reply = Err(RequestError::NotSent("no master answers"));
                for partition in all_partitions().step_by(PROBE_STEP) {
                    reply = cluster.request(partition, &write_probe(partition)).await;
                    if reply.is_ok() {
                        break;
                    }
                }
                reply
            }
        };
        reply.map(drop)
    }
}

fn write_probe(partition: Partition) -> redis::Cmd {
    let mut set = redis::cmd("SET");
    set.arg(keys::key(partition, keys::PROBE));
    set.arg(1).arg("EX").arg(PROBE_TTL_SECONDS);
    set
}
