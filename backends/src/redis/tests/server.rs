//! A Redis of a test's own, and nodes with little patience.

use std::net::{Ipv4Addr, TcpListener};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use crate::redis::RedisStore;
use crate::redis::patience::Patience;
use crate::settings::{QueueLimits, RedisSettings};
use crate::token_store::TokenStore;

pub const MISSED_FOR: Duration = Duration::from_millis(200);
/// All of [`PAUSES_MS`] and more.
pub const LONGER: Duration = Duration::from_millis(600);
const PAUSES_MS: &[u64] = &[50, 100, 200];

/// Has on disk what it has said; killed when it is dropped.
pub struct Server {
    child: Child,
    port: u16,
    folder: TempDir,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

impl Server {
    pub fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let folder = tempfile::tempdir().unwrap();
        Self {
            child: spawn(port, &folder),
            port,
            folder,
        }
    }

    /// As `kill -9` does it.
    pub fn kill(&mut self) {
        // It may be killed already.
        let _ = self.child.kill();
        self.child.wait().unwrap();
    }

    /// After a [`kill`](Self::kill): the same port, the same files.
    pub fn restart(&mut self) {
        self.child = spawn(self.port, &self.folder);
    }

    pub async fn node(&self, report_incomplete: bool) -> RedisStore {
        let settings = RedisSettings {
            addresses: vec![format!("127.0.0.1:{}", self.port)],
            ..RedisSettings::default()
        };
        let limits = QueueLimits {
            report_incomplete,
            ..QueueLimits::default()
        };
        let patience = Patience {
            missed_for: MISSED_FOR,
            pauses_ms: PAUSES_MS,
        };
        let node = RedisStore::with_patience(&settings, limits, patience).unwrap();
        reached(&node).await;
        node
    }
}

pub async fn reached(node: &RedisStore) {
    while node.ping().await.is_err() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn spawn(port: u16, folder: &TempDir) -> Child {
    Command::new("redis-server")
        .args(["--port", &port.to_string(), "--bind", "127.0.0.1"])
        .args(["--save", "", "--appendonly", "yes"])
        .args(["--appendfsync", "always", "--dir"])
        .arg(folder.path())
        .stdout(Stdio::null())
        .spawn()
        .expect("redis-server is installed: apt install redis-server")
}
