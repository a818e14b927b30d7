//! The way to Redis: to one server, to the master that sentinels name, or to the masters of a
//! cluster.

mod cluster;
mod connector;
mod import_gate;
mod replicas;
mod request;
mod server;
mod slots;

use std::sync::Arc;

use super::keys::{self, Partition, all_partitions, prefix};
use crate::error::Result;
use crate::settings::{RedisMode, RedisSettings};
use cluster::Cluster;
use connector::{Access, Target};
use import_gate::ImportGate;
pub use request::Ask;
pub use server::Failure;
use server::Line;

/// Partitions from one that is probed to the next: some are on each master of a usual cluster.
const PROBED_EVERY: usize = 16;

pub struct Link {
    way: Way,
    gate: ImportGate,
}

enum Way {
    One(Line),
    Cluster(Cluster),
}

impl Link {
    /// Asks no network.
    pub fn check_settings(settings: &RedisSettings) -> Result<()> {
        Access::new(settings).map(drop)
    }

    /// Begins to connect; must be called inside a Tokio runtime.
    pub fn open(settings: &RedisSettings) -> Result<Self> {
        Ok(Self {
            way: Way::open(settings)?,
            gate: ImportGate::shut(),
        })
    }

    /// As [`open`](Self::open), also to a Redis that holds the first part of an import.
    pub fn open_offline(settings: &RedisSettings) -> Result<Self> {
        Ok(Self {
            way: Way::open(settings)?,
            gate: ImportGate::open(),
        })
    }

    /// A call about one partition. It is done once: what broke under way is not tried again. What it
    /// wrote the replicas that are wanted have, too.
    pub async fn call<A: Ask>(&self, partition: Partition, call: &A) -> Result<A::Answer, Failure> {
        self.pass_the_gate().await?;
        self.way.call(partition, call).await
    }

    /// Somebody takes a write. Of a cluster one master is enough: the others' partitions are away for
    /// every node of the gateway, so that none is the better for being drained.
    pub async fn ping(&self) -> Result<()> {
        let passed = self.pass_the_gate().await;
        let answer = match passed {
            Ok(()) => self.way.ping().await,
            Err(failure) => Err(failure),
        };
        answer.map_err(|failure| failure.of("redis.ping"))
    }

    async fn pass_the_gate(&self) -> Result<(), Failure> {
        if self.gate.is_open() {
            return Ok(());
        }
        let (partition, _) = keys::import();
        let answer = self.way.call(partition, &ImportGate::question()).await;
        self.gate.hear(&answer)
    }
}

impl Way {
    fn open(settings: &RedisSettings) -> Result<Self> {
        let access = Access::new(settings)?;
        let wait_replicas = settings.wait_replicas;
        let one = |target| Self::One(Line::open(target, wait_replicas, Arc::default()));
        Ok(match settings.mode {
            RedisMode::Standalone => one(Target::Server {
                access,
                address: settings.addresses.first().cloned().unwrap_or_default(),
            }),
            RedisMode::Sentinel => one(Target::Master {
                access,
                sentinels: settings.addresses.clone(),
                name: settings.master_name.clone(),
            }),
            RedisMode::Cluster => {
                let seeds = settings.addresses.clone();
                Self::Cluster(Cluster::open(access, seeds, wait_replicas))
            }
        })
    }

    async fn call<A: Ask>(&self, partition: Partition, call: &A) -> Result<A::Answer, Failure> {
        match self {
            Self::One(line) => line.call(call).await,
            Self::Cluster(cluster) => cluster.call(partition, call).await,
        }
    }

    /// Somebody takes a write.
    async fn ping(&self) -> Result<(), Failure> {
        let answer = match self {
            Self::One(line) => line.call(&probe(Partition::MIN)).await,
            Self::Cluster(cluster) => {
                let mut answer = Err(Failure::Away("no master answers"));
                for partition in all_partitions().step_by(PROBED_EVERY) {
                    answer = cluster.call(partition, &probe(partition)).await;
                    if answer.is_ok() {
                        break;
                    }
                }
                answer
            }
        };
        answer.map(drop)
    }
}

/// A write that means nothing, in one partition.
fn probe(partition: Partition) -> redis::Cmd {
    let mut set = redis::cmd("SET");
    set.arg(format!("{}probe", prefix(partition)));
    set.arg(1).arg("EX").arg(60);
    set
}
