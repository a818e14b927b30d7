//! A Redis of a test's own.

use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use asset_gateway_backends::clock::SystemClock;
use asset_gateway_backends::open::{Stores, open_stores};
use asset_gateway_backends::settings::{QueueLimits, RedisSettings, TokenStoreSettings};
use tempfile::TempDir;

const PATIENCE: Duration = Duration::from_secs(10);
/// For servers that talk to each other.
const FOLLOWED: Duration = Duration::from_secs(30);

/// A `redis-server` on a port of its own; killed when it is dropped.
pub struct Server {
    child: Child,
    port: u16,
    more: Vec<String>,
    folder: TempDir,
}

impl Server {
    /// Keeps nothing.
    pub fn start() -> Self {
        Self::with(&[])
    }

    /// Has on disk what it has said.
    pub fn durable() -> Self {
        Self::with(&["--appendonly", "yes", "--appendfsync", "always"])
    }

    /// Follows `master`.
    pub fn replica_of(master: &Self) -> Self {
        let replica = Self::start();
        let answer = replica.ask(&["REPLICAOF", "127.0.0.1", &master.port.to_string()]);
        assert_eq!(answer, "OK\n");
        until("state=online", || master.ask(&["INFO", "replication"]));
        replica
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// See [`ask`].
    pub fn ask(&self, words: &[&str]) -> String {
        ask(self.port, words)
    }

    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// With `more` arguments.
    pub fn with(more: &[&str]) -> Self {
        let more: Vec<String> = more.iter().map(|&word| word.to_owned()).collect();
        let folder = tempfile::tempdir().unwrap();
        // Somebody may take the port between the question and the use.
        for _ in 0..10 {
            let port = free_port();
            let mut child = spawn(folder.path(), port, &more);
            if answers(&mut child, port) {
                return Self {
                    child,
                    port,
                    more,
                    folder,
                };
            }
            child.kill().unwrap();
            child.wait().unwrap();
        }
        panic!("redis-server does not start");
    }

    /// As `kill -9` does it.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Sends a signal, by its name.
    pub fn signal(&self, name: &str) {
        let kill = format!("kill -{name} {}", self.child.id());
        let status = Command::new("sh").args(["-c", &kill]).status().unwrap();
        assert!(status.success());
    }

    /// After a [`kill`](Self::kill): the same port, the same files.
    pub fn restart(&mut self) {
        self.child = spawn(self.folder.path(), self.port, &self.more);
        assert!(answers(&mut self.child, self.port));
    }

    pub fn settings(&self) -> RedisSettings {
        settings(&self.address())
    }

    /// A gateway's way to this Redis, with a connection of its own.
    pub fn node(&self, limits: QueueLimits) -> Stores {
        let settings = TokenStoreSettings::Redis(self.settings());
        open_stores(&settings, limits, std::sync::Arc::new(SystemClock)).unwrap()
    }

    /// Sends a command; its answers are read from what is returned.
    pub fn send(&self, command: &[Vec<u8>]) -> BufReader<TcpStream> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut bytes = format!("*{}\r\n", command.len()).into_bytes();
        for word in command {
            bytes.extend(format!("${}\r\n", word.len()).into_bytes());
            bytes.extend(word);
            bytes.extend(b"\r\n");
        }
        stream.write_all(&bytes).unwrap();
        BufReader::new(stream)
    }
}

/// What the server on this port answers, as `redis-cli` prints it; errors too.
pub fn ask(port: u16, words: &[&str]) -> String {
    let output = Command::new("redis-cli")
        .args(["-p", &port.to_string()])
        .args(words)
        .output()
        .expect("redis-cli is installed: apt install redis-tools");
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// Waits until an answer has `wanted` in it.
pub fn until(wanted: &str, mut ask: impl FnMut() -> String) {
    let began = Instant::now();
    loop {
        let answer = ask();
        if answer.contains(wanted) {
            return;
        }
        assert!(began.elapsed() < FOLLOWED, "{wanted}: {answer}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may be killed already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub fn settings(address: &str) -> RedisSettings {
    RedisSettings {
        addresses: vec![address.to_owned()],
        ..RedisSettings::default()
    }
}

pub fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.local_addr().unwrap().port()
}

fn spawn(folder: &Path, port: u16, more: &[String]) -> Child {
    Command::new("redis-server")
        .args(["--port", &port.to_string(), "--bind", "127.0.0.1"])
        .args(["--repl-diskless-sync-delay", "0", "--save", "", "--dir"])
        .arg(folder)
        .args(more)
        .stdout(Stdio::null())
        .spawn()
        .expect("redis-server is installed: apt install redis-server")
}

/// It is this child that answers, not somebody else on the port.
fn answers(child: &mut Child, port: u16) -> bool {
    let began = Instant::now();
    while began.elapsed() < PATIENCE {
        if child.try_wait().unwrap().is_some() {
            return false;
        }
        if let Ok(mut stream) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)) {
            stream.write_all(b"PING\r\n").unwrap();
            let mut answer = String::new();
            // A server that is still loading says so.
            if BufReader::new(stream).read_line(&mut answer).is_ok() && answer.starts_with("+PONG")
            {
                return true;
            }
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    false
}
