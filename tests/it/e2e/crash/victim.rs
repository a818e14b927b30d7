//! The gateway as a process that will be killed.

use std::net::SocketAddr;
use std::path::Path;

use crate::support::process::{Process, command};

/// A running gateway. What it logged is printed where a test fails.
pub(super) struct Victim {
    process: Option<Process>,
    pub(super) address: SocketAddr,
}

impl Victim {
    /// Starts the binary with the configuration in `file`, which must listen on `127.0.0.1:0`, and
    /// returns once it serves.
    pub(super) async fn start(file: &Path) -> Self {
        let mut command = command();
        command.arg("--config").arg(file);
        command.env("ASSET_GATEWAY_LOG_FORMAT", "json");
        command.env("RUST_LOG", "info,access=off");
        let started = tokio::task::spawn_blocking(move || {
            let mut process = Process::start(command);
            let port = process.wait_for("serving")["port"].as_u64().unwrap();
            (process, u16::try_from(port).unwrap())
        });
        let (process, port) = started.await.unwrap();
        Self {
            process: Some(process),
            address: SocketAddr::from(([127, 0, 0, 1], port)),
        }
    }

    /// SIGKILL; returns when nothing of the process is left.
    pub(super) fn kill(mut self) {
        self.process.take().unwrap().kill();
    }

    /// By its name, such as `STOP`.
    pub(super) fn signal(&self, signal: &str) {
        self.process.as_ref().unwrap().signal(signal);
    }

    /// SIGTERM; returns when the process has ended, and ended well.
    pub(super) async fn stop(mut self) {
        let mut process = self.process.take().unwrap();
        let stopped = tokio::task::spawn_blocking(move || {
            process.terminate();
            let status = process.wait();
            assert!(status.success(), "{status}: {}", process.stderr());
        });
        stopped.await.unwrap();
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        if let (Some(process), true) = (&self.process, std::thread::panicking()) {
            eprintln!("the gateway said:\n{}", process.stderr());
        }
    }
}
