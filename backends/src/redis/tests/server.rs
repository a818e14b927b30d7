//! A Redis of a test's own, and nodes with little patience.

use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::redis::RedisStore;
use crate::redis::timeouts::Patience;
use crate::settings::{QueueLimits, RedisSettings};
use crate::token_store::TokenStore;

pub const MISSED_FOR: Duration = Duration::from_millis(200);
/// All of [`PAUSES_MS`] and more.
pub const LONGER: Duration = Duration::from_secs(2);
const PAUSES_MS: &[u64] = &[50, 100, 200];

/// How long anything may take.
const LIMIT: Duration = Duration::from_secs(10);

/// Killed when it is dropped.
pub struct Server {
    child: Child,
    port: u16,
    durable: bool,
    folder: TempDir,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

impl Server {
    /// Keeps nothing.
    pub fn start() -> Self {
        Self::with(false)
    }

    /// Has on disk what it has said.
    pub fn durable() -> Self {
        Self::with(true)
    }

    fn with(durable: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        // Somebody may take the port between the question and the use.
        for _ in 0..10 {
            let port = free_port();
            if let Some(child) = spawn(port, &folder, durable) {
                return Self {
                    child,
                    port,
                    durable,
                    folder,
                };
            }
        }
        panic!("redis-server does not start");
    }

    /// As `kill -9` does it.
    pub fn kill(&mut self) {
        // It may be killed already.
        let _ = self.child.kill();
        self.child.wait().unwrap();
    }

    /// After a [`kill`](Self::kill): the same port, the same files.
    pub fn restart(&mut self) {
        let began = Instant::now();
        self.child = loop {
            match spawn(self.port, &self.folder, self.durable) {
                Some(child) => break child,
                None => assert!(began.elapsed() < LIMIT, "redis-server does not start"),
            }
        };
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
    let began = Instant::now();
    while let Err(error) = node.ping().await {
        assert!(began.elapsed() < LIMIT, "{error}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// What the store is still to do is done.
pub async fn all_done(node: &RedisStore) {
    let began = Instant::now();
    while node.0.deeds.count() > 0 {
        assert!(began.elapsed() < LIMIT, "{} left", node.0.deeds.count());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.local_addr().unwrap().port()
}

/// `None` where it ends at once, as where somebody else has the port; else the port is open.
fn spawn(port: u16, folder: &TempDir, durable: bool) -> Option<Child> {
    let mut command = Command::new("redis-server");
    command
        .args(["--port", &port.to_string(), "--bind", "127.0.0.1"])
        .args(["--save", "", "--dir"])
        .arg(folder.path())
        .stdout(Stdio::null());
    if durable {
        command.args(["--appendonly", "yes", "--appendfsync", "always"]);
    }
    let mut child = command
        .spawn()
        .expect("redis-server is installed: apt install redis-server");
    let began = Instant::now();
    while began.elapsed() < LIMIT {
        let open = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok();
        // Asked last: it may be somebody else who answers.
        std::thread::sleep(Duration::from_millis(20));
        if child.try_wait().unwrap().is_some() {
            return None;
        }
        if open {
            return Some(child);
        }
    }
    child.kill().unwrap();
    child.wait().unwrap();
    None
}
