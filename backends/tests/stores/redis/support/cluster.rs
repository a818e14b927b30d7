//! A Redis Cluster of a test's own.

use std::time::{Duration, Instant};

use asset_gateway_backends::open::Stores;
use asset_gateway_backends::settings::{QueueLimits, RedisMode, RedisSettings};

use super::server::{self, Server, free_port, until};

const SLOTS: [(u16, u16); 3] = [(0, 5_460), (5_461, 10_922), (10_923, 16_383)];

/// Three masters, with or without replicas.
pub struct Cluster {
    pub masters: Vec<Server>,
    pub replicas: Vec<Server>,
}

impl Cluster {
    pub fn start() -> Self {
        let nodes: Vec<_> = SLOTS.iter().map(|_| node()).collect();
        for ((node, _), (first, last)) in nodes.iter().zip(SLOTS) {
            let (first, last) = (first.to_string(), last.to_string());
            let reply = node.cli(&["CLUSTER", "ADDSLOTSRANGE", &first, &last]);
            assert_eq!(reply, "OK\n");
        }
        let introduce_all = || {
            for (node, bus) in &nodes {
                introduce(&nodes[0].0, node, *bus);
            }
        };
        until_joined(introduce_all, || {
            let mut infos = nodes.iter().map(|(node, _)| node.cli(&["CLUSTER", "INFO"]));
            infos.all(|info| info.contains("cluster_slots_ok:16384"))
        });
        let masters: Vec<_> = nodes.into_iter().map(|(node, _)| node).collect();
        for master in &masters {
            until("cluster_state:ok", || master.cli(&["CLUSTER", "INFO"]));
        }
        Self {
            masters,
            replicas: Vec::new(),
        }
    }

    /// The first master's replicas come first in [`replicas`](Self::replicas).
    pub fn with_replicas(of_each: usize) -> Self {
        let mut cluster = Self::start();
        let all = cluster.masters.iter();
        for master in all.flat_map(|master| std::iter::repeat_n(master, of_each)) {
            let (replica, bus) = node();
            let id = master.cli(&["CLUSTER", "MYID"]);
            until_joined(
                || introduce(master, &replica, bus),
                || replica.cli(&["CLUSTER", "REPLICATE", id.trim()]) == "OK\n",
            );
            let linked = "master_link_status:up";
            until(linked, || replica.cli(&["INFO", "replication"]));
            cluster.replicas.push(replica);
        }
        let known = format!("cluster_known_nodes:{}", SLOTS.len() * (of_each + 1));
        // A replica can be promoted only when each node knows all.
        for server in cluster.masters.iter().chain(&cluster.replicas) {
            until(&known, || server.cli(&["CLUSTER", "INFO"]));
        }
        cluster
    }

    /// The first address does not answer.
    pub fn settings(&self) -> RedisSettings {
        RedisSettings {
            addresses: vec!["127.0.0.1:1".into(), self.masters[1].address()],
            mode: RedisMode::Cluster,
            ..RedisSettings::default()
        }
    }

    pub fn node(&self, limits: QueueLimits) -> Stores {
        server::node(self.settings(), limits)
    }
}

/// A node of no cluster yet, and the port of its cluster bus.
fn node() -> (Server, u16) {
    let bus = free_port();
    let server = Server::with(&[
        "--cluster-enabled",
        "yes",
        "--cluster-port",
        &bus.to_string(),
        "--cluster-node-timeout",
        &NODE_TIMEOUT.as_millis().to_string(),
        // The other masters serve while one is down.
        "--cluster-require-full-coverage",
        "no",
    ]);
    (server, bus)
}

const NODE_TIMEOUT: Duration = Duration::from_millis(1_000);

/// Waits until nodes have joined. Introduces them again after a while, because a handshake times out after
/// [`NODE_TIMEOUT`] on a loaded machine.
fn until_joined(introduce: impl Fn(), have_joined: impl Fn() -> bool) {
    for _ in 0..10 {
        introduce();
        let began = Instant::now();
        while began.elapsed() < 3 * NODE_TIMEOUT {
            if have_joined() {
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }
    panic!("the nodes do not join");
}

fn introduce(to: &Server, node: &Server, bus: u16) {
    let (port, bus) = (node.port().to_string(), bus.to_string());
    let reply = to.cli(&["CLUSTER", "MEET", "127.0.0.1", &port, &bus]);
    assert_eq!(reply, "OK\n");
}
