//! Several gateways on one Redis and one bucket.

use reqwest::RequestBuilder;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::api::Api;
use super::gateway::Gateway;
use super::redis::server::Server;

pub struct Fleet {
    pub nodes: Vec<Gateway>,
    pub redis: Server,
    objects: TempDir,
    sections: Value,
}

impl Fleet {
    pub fn start(nodes: usize) -> Self {
        Self::with(nodes, Server::start(), json!({}))
    }

    /// `sections` go over those that every node has.
    pub fn with(nodes: usize, redis: Server, sections: Value) -> Self {
        let objects = tempfile::tempdir().unwrap();
        let mut whole = json!({
            "redis": {"addr": redis.address()},
            "token_store": {"kind": "redis"},
            "buckets": {"local": {"provider": "fs", "root": objects.path()}},
        });
        for (name, section) in sections.as_object().unwrap() {
            whole[name] = section.clone();
        }
        let mut fleet = Self {
            nodes: Vec::new(),
            redis,
            objects,
            sections: whole,
        };
        for _ in 0..nodes {
            fleet.add();
        }
        fleet
    }

    /// The folder of the bucket that all share.
    pub fn root(&self) -> &std::path::Path {
        self.objects.path()
    }

    /// Nodes that are added from now on have this `section`.
    pub fn set(&mut self, name: &str, section: Value) {
        self.sections[name] = section;
    }

    /// One node more.
    pub fn add(&mut self) {
        self.nodes.push(Gateway::with(self.sections.clone()));
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

/// What a client saw of a node that may die.
#[derive(Debug)]
pub enum Seen {
    Whole {
        status: u16,
    },
    /// The head of an answer, and not all of its body.
    Part {
        status: u16,
    },
    /// The connection was refused, or broke before an answer.
    Nothing,
}

impl Seen {
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Whole { status } | Self::Part { status } => Some(*status),
            Self::Nothing => None,
        }
    }

    pub fn is_whole(&self) -> bool {
        matches!(self, Self::Whole { .. })
    }
}

pub async fn seen(request: RequestBuilder) -> Seen {
    let Ok(mut response) = request.send().await else {
        return Seen::Nothing;
    };
    let status = response.status().as_u16();
    loop {
        match response.chunk().await {
            Ok(Some(_)) => {}
            Ok(None) => return Seen::Whole { status },
            Err(_) => return Seen::Part { status },
        }
    }
}
