//! The binary as a child process.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use serde_json::Value;

use super::api::PATIENCE;

const BINARY: &str = env!("CARGO_BIN_EXE_asset-gateway");

/// The binary, without variables of the tests' environment that it would read.
pub fn command() -> Command {
    let mut command = Command::new(BINARY);
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy().into_owned();
        let is_read = ["ASSET_GATEWAY", "AWS_", "RUST_LOG"];
        if is_read.iter().any(|prefix| name.starts_with(prefix)) {
            command.env_remove(name);
        }
    }
    command.stdin(Stdio::null());
    command
}

/// A child process whose output is read continuously.
pub struct Process {
    child: Child,
    stderr: Arc<Mutex<String>>,
    stdout: Arc<Mutex<String>>,
    lines: mpsc::Receiver<Value>,
    readers: Vec<JoinHandle<()>>,
}

impl Process {
    pub fn start(mut command: Command) -> Self {
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let (sender, lines) = mpsc::channel();
        let (stderr, stdout) = (Arc::<Mutex<String>>::default(), Arc::default());
        let from_stderr = copy(child.stderr.take().unwrap(), Arc::clone(&stderr), {
            move |line: &str| {
                if let Ok(line) = serde_json::from_str(line) {
                    let _ = sender.send(line);
                }
            }
        });
        let from_stdout = copy(child.stdout.take().unwrap(), Arc::clone(&stdout), |_| {});
        Self {
            child,
            stderr,
            stdout,
            lines,
            readers: vec![from_stderr, from_stdout],
        }
    }

    /// Waits for the log line with this message; fails if the process ends before.
    pub fn wait_for(&mut self, message: &str) -> Value {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(line) if line["message"] == message => return line,
                Ok(_) => {}
                Err(error) => panic!("no `{message}` ({error}): {}", self.stderr.lock()),
            }
        }
    }

    /// The log line with this message, if there is one.
    pub fn logged(&self, message: &str) -> Option<Value> {
        let log = self.stderr.lock();
        let lines = log
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok());
        let mut lines = lines.filter(|line: &Value| line["message"] == message);
        lines.next()
    }

    /// SIGKILL; returns when the process is gone.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    pub fn terminate(&self) {
        self.signal("TERM");
    }

    /// Sends the signal with this name, such as `STOP`.
    pub fn signal(&self, signal: &str) {
        let kill = format!("kill -{signal} {}", self.child.id());
        let status = Command::new("sh").args(["-c", &kill]).status().unwrap();
        assert!(status.success());
    }

    /// Waits for the end of the process and of its output.
    pub fn wait(&mut self) -> ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(Instant::now() < deadline, "it does not end");
            std::thread::sleep(Duration::from_millis(5));
        };
        for reader in self.readers.drain(..) {
            reader.join().unwrap();
        }
        status
    }

    pub fn stderr(&self) -> String {
        self.stderr.lock().clone()
    }

    pub fn stdout(&self) -> String {
        self.stdout.lock().clone()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn copy(
    from: impl Read + Send + 'static,
    to: Arc<Mutex<String>>,
    mut each: impl FnMut(&str) + Send + 'static,
) -> JoinHandle<()> {
    std::thread::spawn(move || {
        for line in BufReader::new(from).split(b'\n') {
            let Ok(line) = line else { return };
            let line = String::from_utf8_lossy(&line);
            {
                let mut to = to.lock();
                to.push_str(&line);
                to.push('\n');
            }
            each(&line);
        }
    })
}
