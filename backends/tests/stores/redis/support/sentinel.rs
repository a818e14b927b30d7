//! A sentinel of a test's own.

use std::process::{Child, Command, Stdio};

use super::server::{Server, free_port, redis_cli, until};

/// A sentinel that watches a master under the name `shop`, with a quorum of one.
pub struct Sentinel {
    child: Child,
    port: u16,
    _folder: tempfile::TempDir,
}

impl Drop for Sentinel {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Sentinel {
    /// Returns when the sentinel knows all `replicas`.
    pub fn watch(master: &Server, replicas: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("sentinel.conf");
        let port = free_port();
        let master = master.address().replace(':', " ");
        let lines = format!(
            "port {port}\nbind 127.0.0.1\nsentinel monitor shop {master} 1\n\
             sentinel down-after-milliseconds shop 500\nsentinel failover-timeout shop 3000\n"
        );
        std::fs::write(&file, lines).unwrap();
        let child = Command::new("redis-server")
            .arg(&file)
            .arg("--sentinel")
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let sentinel = Self {
            child,
            port,
            _folder: folder,
        };
        let known = format!("slaves={replicas}");
        until(&known, || redis_cli(port, &["INFO", "sentinel"]));
        sentinel
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }
}
