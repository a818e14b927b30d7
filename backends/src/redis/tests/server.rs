//! A `redis-server` of a test's own, and nodes with short time limits.

use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::redis::RedisStore;
use crate::redis::timeouts::OutageTimeouts;
use crate::settings::{QueueLimits, RedisSettings};
use crate::token_store::TokenStore;

pub const DEAD_AFTER: Duration = Duration::from_millis(200);
/// Longer than all of [`RETRY_DELAYS_MS`].
pub const LONG_OUTAGE: Duration = Duration::from_secs(2);
const RETRY_DELAYS_MS: &[u64] = &[50, 100, 200];

const TIMEOUT: Duration = Duration::from_secs(10);

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
    /// Without a disk.
    pub fn start() -> Self {
        Self::with(false)
    }

    /// Each write is on disk before its reply.
    pub fn durable() -> Self {
        Self::with(true)
    }

    fn with(durable: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        // Another process may take the port before the server does.
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
                None => assert!(began.elapsed() < TIMEOUT, "redis-server does not start"),
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
        let timeouts = OutageTimeouts {
            dead_after: DEAD_AFTER,
            retry_delays_ms: RETRY_DELAYS_MS,
        };
        let node = RedisStore::with_timeouts(&settings, limits, timeouts).unwrap();
        wait_until_reachable(&node).await;
        node
    }
}

pub async fn wait_until_reachable(node: &RedisStore) {
    let began = Instant::now();
    while let Err(error) = node.ping().await {
        assert!(began.elapsed() < TIMEOUT, "{error}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Waits until the retry queue is empty.
pub async fn wait_for_retries(node: &RedisStore) {
    let began = Instant::now();
    while node.0.retry_queue.len() > 0 {
        assert!(
            began.elapsed() < TIMEOUT,
            "{} left",
            node.0.retry_queue.len()
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.local_addr().unwrap().port()
}

/// `None` where the server ends at once, as where another process has the port.
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
    while began.elapsed() < TIMEOUT {
        let open = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok();
        // Checked last: another process may have answered.
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
