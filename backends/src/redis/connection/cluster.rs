//! A cluster: one connection to each master, so that the loss of a master concerns only its partitions.
//!
//! `MOVED` is followed, because the request was not carried out. `ASK` is not: while a slot migrates, a script would
//! find only some of its partition's keys. Requests to it fail until the slot has arrived.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, RwLock};
use redis::{Cmd, ErrorKind, RedisError, ServerErrorKind};
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::connector::{Connector, Target, host_and_port};
use super::request::{Request, RequestError};
use super::server::{STARTUP_TIMEOUT, ServerConnection, connection_config};
use super::slots;
use crate::redis::keys::Partition;

/// How often `CLUSTER SLOTS` is read while every partition is served.
const REFRESH_INTERVAL: Duration = Duration::from_secs(10);
/// How often it is read while a partition is not served.
const OUTAGE_REFRESH_INTERVAL: Duration = Duration::from_millis(200);
/// Before a refresh that a request asks for: one failure makes many requests ask.
const REFRESH_DELAY: Duration = Duration::from_millis(20);
const MAX_REDIRECTS: usize = 4;

pub struct ClusterConnection {
    map: Arc<ClusterMap>,
    /// Whether a refresh has ended, well or not.
    refreshed: watch::Receiver<bool>,
    refreshing: JoinHandle<()>,
}

/// Which connection serves which partition.
struct ClusterMap {
    connector: Arc<Connector>,
    /// The addresses of the settings, asked while no master answers.
    seeds: Vec<String>,
    wait_replicas: u32,
    /// By address.
    servers: Mutex<HashMap<String, Arc<ServerConnection>>>,
    /// By partition.
    masters: RwLock<Vec<Option<Arc<ServerConnection>>>>,
    stale: Arc<Notify>,
}

impl Drop for ClusterConnection {
    fn drop(&mut self) {
        self.refreshing.abort();
    }
}

impl ClusterConnection {
    /// Begins to connect; must be called inside a Tokio runtime.
    pub fn open(connector: Arc<Connector>, seeds: Vec<String>, wait_replicas: u32) -> Self {
        let map = Arc::new(ClusterMap {
            connector,
            seeds,
            wait_replicas,
            servers: Mutex::default(),
            masters: RwLock::default(),
            stale: Arc::default(),
        });
        let (refreshed_sender, refreshed) = watch::channel(false);
        let refreshing = tokio::spawn(keep_refreshed(Arc::clone(&map), refreshed_sender));
        Self {
            map,
            refreshed,
            refreshing,
        }
    }

    /// [`ServerConnection::request`] to the master of the partition.
    pub async fn request<R: Request>(
        &self,
        partition: Partition,
        request: &R,
    ) -> Result<R::Reply, RequestError> {
        let mut master = self.master_of(partition).await?;
        for _ in 0..MAX_REDIRECTS {
            match master.request(request).await {
                Err(RequestError::Redis(error)) => match moved_to(&error) {
                    Some(address) => master = self.map.move_partition(partition, &address),
                    None => {
                        if shows_stale_map(&error) {
                            self.map.stale.notify_one();
                        }
                        return Err(RequestError::Redis(error));
                    }
                },
                reply => return reply,
            }
        }
        Err(RequestError::NotSent("too many redirects between masters"))
    }

    async fn master_of(&self, partition: Partition) -> Result<Arc<ServerConnection>, RequestError> {
        self.wait_for_first_refresh().await;
        let masters = self.map.masters.read();
        let master = masters.get(usize::from(partition)).cloned().flatten();
        master.ok_or(RequestError::NotSent("no master serves the slot"))
    }

    async fn wait_for_first_refresh(&self) {
        if !*self.refreshed.borrow() {
            let mut refreshed = self.refreshed.clone();
            // After the timeout the request finds no master.
            let _ = timeout(STARTUP_TIMEOUT, refreshed.wait_for(|done| *done)).await;
        }
    }
}

/// The address that `MOVED` names. One without a host means the server that replied; it is not followed.
fn moved_to(error: &RedisError) -> Option<String> {
    let moved = matches!(error.kind(), ErrorKind::Server(ServerErrorKind::Moved));
    let (address, _) = error.redirect_node().filter(|_| moved)?;
    Some(address.to_owned()).filter(|address| !address.starts_with(':'))
}

fn shows_stale_map(error: &RedisError) -> bool {
    matches!(
        error.kind(),
        ErrorKind::Server(
            ServerErrorKind::Moved
                | ServerErrorKind::Ask
                | ServerErrorKind::ClusterDown
                | ServerErrorKind::ReadOnly
        )
    )
}

impl ClusterMap {
    fn server(&self, address: &str) -> Arc<ServerConnection> {
        let mut servers = self.servers.lock();
        let server = servers.entry(address.to_owned()).or_insert_with(|| {
            let target = Target::Server {
                connector: Arc::clone(&self.connector),
                address: address.to_owned(),
            };
            let stale = Arc::clone(&self.stale);
            Arc::new(ServerConnection::open(target, self.wait_replicas, stale))
        });
        Arc::clone(server)
    }

    fn move_partition(&self, partition: Partition, address: &str) -> Arc<ServerConnection> {
        let server = self.server(address);
        if let Some(master) = self.masters.write().get_mut(usize::from(partition)) {
            *master = Some(Arc::clone(&server));
        }
        self.stale.notify_one();
        server
    }

    /// Takes over the masters' addresses by partition, and drops connections to other servers.
    fn update(&self, addresses: Vec<Option<String>>) {
        let masters: Vec<_> = addresses
            .iter()
            .map(|address| address.as_deref().map(|address| self.server(address)))
            .collect();
        let used: HashSet<_> = addresses.into_iter().flatten().collect();
        *self.masters.write() = masters;
        self.servers
            .lock()
            .retain(|address, _| used.contains(address));
    }

    fn serves_all_partitions(&self) -> bool {
        let masters = self.masters.read();
        let is_up = |master: &Option<Arc<ServerConnection>>| {
            master.as_ref().is_some_and(|master| master.is_up())
        };
        !masters.is_empty() && masters.iter().all(is_up)
    }

    /// Reads the masters' addresses by partition: from a connected master, another one in each `round`, else from
    /// the seeds.
    async fn read_slots(&self, round: usize) -> Result<Vec<Option<String>>, RequestError> {
        let mut up: Vec<_> = {
            let servers = self.servers.lock();
            let up = servers.iter().filter(|(_, server)| server.is_up());
            up.map(|(address, server)| (address.clone(), Arc::clone(server)))
                .collect()
        };
        up.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        let mut last_error = RequestError::NotSent("no node of the cluster answers");
        for n in 0..up.len() {
            let (address, server) = &up[(round + n) % up.len()];
            match server.request(&cluster_slots()).await {
                Ok(reply) => return Ok(slots::masters(&reply, host_and_port(address).0)),
                Err(error) => last_error = error,
            }
        }
        for n in 0..self.seeds.len() {
            let seed = &self.seeds[(round + n) % self.seeds.len()];
            let reply = async {
                let config = connection_config();
                let mut connection = self.connector.connect(seed, &config).await?;
                cluster_slots().send(&mut connection).await
            };
            match reply.await {
                Ok(reply) => return Ok(slots::masters(&reply, host_and_port(seed).0)),
                Err(error) => last_error = RequestError::Redis(error),
            }
        }
        Err(last_error)
    }
}

fn cluster_slots() -> Cmd {
    let mut slots = redis::cmd("CLUSTER");
    slots.arg("SLOTS");
    slots
}

/// Keeps the map up to date for as long as it is polled.
async fn keep_refreshed(map: Arc<ClusterMap>, refreshed: watch::Sender<bool>) {
    let mut succeeded = true;
    for round in 0.. {
        match map.read_slots(round).await {
            Ok(addresses) => {
                map.update(addresses);
                succeeded = true;
            }
            Err(error) => {
                if succeeded {
                    succeeded = false;
                    let error = error.of("redis.cluster");
                    tracing::error!(
                        exception.message = %error,
                        "cannot read the cluster's slots; retrying until it answers"
                    );
                }
            }
        }
        refreshed.send_replace(true);
        let pause = match map.serves_all_partitions() {
            true => REFRESH_INTERVAL,
            false => OUTAGE_REFRESH_INTERVAL,
        };
        tokio::select! {
            () = sleep(pause) => {}
            () = map.stale.notified() => sleep(REFRESH_DELAY).await,
        }
    }
}
