//! The real binary as a process that can be killed.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

use parking_lot::Mutex;

/// Until the process serves, or has ended.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running gateway; killed with its value. What it logged is printed where a test fails.
pub struct Process {
    child: Child,
    pub address: SocketAddr,
    log: Arc<Mutex<Vec<String>>>,
}

impl Process {
    /// Starts the binary with the configuration in `file`, which must listen on `127.0.0.1:0`, and
    /// returns once it serves.
    pub async fn start(file: &Path) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_asset-gateway"))
            .arg("--config")
            .arg(file)
            .env_clear()
            .env("ASSET_GATEWAY_LOG_FORMAT", "json")
            .env("RUST_LOG", "info,access=off")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let log = Arc::<Mutex<Vec<String>>>::default();
        let (serves, port) = mpsc::channel();
        let lines = Arc::clone(&log);
        // Read to its end, so that the process never waits for the pipe.
        std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                if let Some(port) = port_of(&line) {
                    let _ = serves.send(port);
                }
                lines.lock().push(line);
            }
        });
        let waited = tokio::task::spawn_blocking(move || port.recv_timeout(PATIENCE));
        let port = waited.await.unwrap();
        let mut process = Self {
            child,
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            log,
        };
        process.address.set_port(port.expect("it serves"));
        process
    }

    /// SIGKILL; returns when nothing of the process is left.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGTERM; returns when the process has ended, and ended well.
    pub async fn stop(mut self) {
        let signalled = Command::new("kill")
            .arg(self.child.id().to_string())
            .status();
        assert!(signalled.unwrap().success());
        let ended = async {
            loop {
                if let Some(status) = self.child.try_wait().unwrap() {
                    return status;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let status = tokio::time::timeout(PATIENCE, ended).await.unwrap();
        assert!(status.success(), "{status}");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("the gateway said:\n{}", self.log.lock().join("\n"));
        }
    }
}

fn port_of(line: &str) -> Option<u16> {
    let line: serde_json::Value = serde_json::from_str(line).ok()?;
    (line["message"] == "serving").then(|| line["port"].as_u64()?.try_into().ok())?
}
