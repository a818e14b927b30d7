//! Several gateways on one Redis and one bucket.

use std::time::Duration;

use reqwest::RequestBuilder;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::api::{Api, merge};
use super::gateway::Gateway;
use super::redis::server::Server;

pub struct Fleet {
    pub nodes: Vec<Gateway>,
    pub redis: Server,
    objects: TempDir,
    sections: Value,
    lease: Duration,
}

impl Fleet {
    pub fn start(nodes: usize) -> Self {
        Self::with(nodes, Server::start(), json!({}))
    }

    /// `sections` replace those that every node has.
    pub fn with(nodes: usize, redis: Server, sections: Value) -> Self {
        Self::with_lease(nodes, redis, Duration::from_secs(60), sections)
    }

    /// The same with shortened leases.
    pub fn with_lease(nodes: usize, redis: Server, lease: Duration, sections: Value) -> Self {
        let objects = tempfile::tempdir().unwrap();
        let common = json!({
            "redis": {"addr": redis.address()},
            "token_store": {"kind": "redis"},
            "buckets": {"local": {"provider": "fs", "root": objects.path()}},
        });
        let mut fleet = Self {
            nodes: Vec::new(),
            redis,
            objects,
            sections: merge(common, sections),
            lease,
        };
        for _ in 0..nodes {
            fleet.add();
        }
        fleet
    }

    /// The folder of the shared bucket.
    pub fn root(&self) -> &std::path::Path {
        self.objects.path()
    }

    /// Replaces sections for nodes that are added later.
    pub fn set(&mut self, sections: Value) {
        self.sections = merge(self.sections.take(), sections);
    }

    /// Starts one more node.
    pub fn add(&mut self) {
        let builder = Gateway::builder().with(self.sections.clone());
        self.nodes.push(builder.lease(self.lease).start());
    }

    /// SIGKILL.
    pub fn kill(&mut self, node: usize) {
        self.nodes.remove(node).kill();
    }

    /// Clients of all nodes.
    pub fn clients(&self) -> Vec<Api> {
        self.nodes.iter().map(|node| Api::clone(node)).collect()
    }

    /// Puts a file into the bucket, past the gateways.
    pub fn place(&self, key: &str, content: impl AsRef<[u8]>) {
        std::fs::write(self.objects.path().join(key), content).unwrap();
    }

    pub fn stored(&self, key: &str) -> Option<Vec<u8>> {
        std::fs::read(self.objects.path().join(key)).ok()
    }
}

/// What a client sees of a node that may be killed.
#[derive(Debug)]
pub enum Seen {
    Complete {
        status: u16,
    },
    /// The head of an answer and a part of its body.
    Partial {
        status: u16,
    },
    /// The connection was refused, or broke before an answer.
    NoAnswer,
}

impl Seen {
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Complete { status } | Self::Partial { status } => Some(*status),
            Self::NoAnswer => None,
        }
    }

    pub fn is_complete(&self) -> bool {
        matches!(self, Self::Complete { .. })
    }
}

pub async fn seen(request: RequestBuilder) -> Seen {
    let Ok(mut response) = request.send().await else {
        return Seen::NoAnswer;
    };
    let status = response.status().as_u16();
    loop {
        match response.chunk().await {
            Ok(Some(_)) => {}
            Ok(None) => return Seen::Complete { status },
            Err(_) => return Seen::Partial { status },
        }
    }
}
