//! A Redis of a test's own.

use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use asset_gateway_backends::clock::SystemClock;
use asset_gateway_backends::open::{Stores, open_stores};
use asset_gateway_backends::settings::{
    QueueLimits, RedisMode, RedisSettings, Secret, TokenStoreSettings,
};
use tempfile::TempDir;

const PATIENCE: Duration = Duration::from_secs(10);

/// A `redis-server` on a port of its own; killed when it is dropped.
pub struct Server {
    child: Child,
    port: u16,
    durable: bool,
    folder: TempDir,
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

    /// Follows `master`.
    pub fn replica_of(master: &Self) -> Self {
        let replica = Self::start();
        let port = master.port.to_string();
        let command = ["REPLICAOF", "127.0.0.1", &port].map(|word| word.as_bytes().to_vec());
        let mut answer = String::new();
        replica.send(&command).read_line(&mut answer).unwrap();
        assert_eq!(answer, "+OK\r\n");
        replica
    }

    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    fn with(durable: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        // Somebody may take the port between the question and the use.
        for _ in 0..10 {
            let port = free_port();
            let mut child = spawn(folder.path(), port, durable);
            if answers(&mut child, port) {
                return Self {
                    child,
                    port,
                    durable,
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

    /// After a [`kill`](Self::kill): the same port, the same files.
    pub fn restart(&mut self) {
        self.child = spawn(self.folder.path(), self.port, self.durable);
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
        mode: RedisMode::Standalone,
        master_name: String::new(),
        username: String::new(),
        password: Secret::default(),
        db: 0,
        tls: false,
        wait_replicas: 0,
    }
}

pub fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.local_addr().unwrap().port()
}

fn spawn(folder: &Path, port: u16, durable: bool) -> Child {
    Command::new("redis-server")
        .args(["--port", &port.to_string(), "--bind", "127.0.0.1"])
        .args(["--save", "", "--appendfsync", "always", "--appendonly"])
        .arg(if durable { "yes" } else { "no" })
        .arg("--dir")
        .arg(folder)
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
