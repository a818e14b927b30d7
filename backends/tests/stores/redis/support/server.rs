//! A `redis-server` of a test's own.

use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use asset_gateway_backends::clock::SystemClock;
use asset_gateway_backends::conformance::fixture::{Fixture, Time};
use asset_gateway_backends::open::{Stores, open_stores};
use asset_gateway_backends::settings::{QueueLimits, RedisSettings, TokenStoreSettings};
use tempfile::TempDir;

const START_TIMEOUT: Duration = Duration::from_secs(10);
/// For changes that servers agree on among themselves.
const CHANGE_TIMEOUT: Duration = Duration::from_secs(30);

/// Has a port of its own, and is killed when it is dropped.
pub struct Server {
    child: Child,
    port: u16,
    args: Vec<String>,
    folder: TempDir,
}

impl Server {
    /// Without a disk.
    pub fn start() -> Self {
        Self::with(&[])
    }

    /// Each write is on disk before its reply.
    pub fn durable() -> Self {
        Self::with(&["--appendonly", "yes", "--appendfsync", "always"])
    }

    pub fn replica_of(master: &Self) -> Self {
        let replica = Self::start();
        let reply = replica.cli(&["REPLICAOF", "127.0.0.1", &master.port.to_string()]);
        assert_eq!(reply, "OK\n");
        until("state=online", || master.cli(&["INFO", "replication"]));
        replica
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// See [`redis_cli`].
    pub fn cli(&self, args: &[&str]) -> String {
        redis_cli(self.port, args)
    }

    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    pub fn with(args: &[&str]) -> Self {
        let args: Vec<String> = args.iter().map(|&arg| arg.to_owned()).collect();
        let folder = tempfile::tempdir().unwrap();
        // Another process may take the port before the server does.
        for _ in 0..10 {
            let port = free_port();
            let mut child = spawn(folder.path(), port, &args);
            if answers(&mut child, port) {
                return Self {
                    child,
                    port,
                    args,
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

    /// `name`: as `kill` takes it, such as `STOP`.
    pub fn signal(&self, name: &str) {
        let kill = format!("kill -{name} {}", self.child.id());
        let status = Command::new("sh").args(["-c", &kill]).status().unwrap();
        assert!(status.success());
    }

    /// After a [`kill`](Self::kill): the same port, the same files.
    pub fn restart(&mut self) {
        self.child = spawn(self.folder.path(), self.port, &self.args);
        assert!(answers(&mut self.child, self.port));
    }

    pub fn settings(&self) -> RedisSettings {
        settings(&self.address())
    }

    /// A node on this Redis.
    pub fn node(&self, limits: QueueLimits) -> Stores {
        node(self.settings(), limits)
    }

    /// Sends a command, and returns the connection to read replies from.
    pub fn send(&self, command: &[Vec<u8>]) -> BufReader<TcpStream> {
        send(self.port, command).unwrap()
    }
}

fn send(port: u16, command: &[impl AsRef<[u8]>]) -> std::io::Result<BufReader<TcpStream>> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_read_timeout(Some(START_TIMEOUT))?;
    let mut bytes = format!("*{}\r\n", command.len()).into_bytes();
    for arg in command.iter().map(AsRef::as_ref) {
        bytes.extend(format!("${}\r\n", arg.len()).into_bytes());
        bytes.extend(arg);
        bytes.extend(b"\r\n");
    }
    stream.write_all(&bytes)?;
    Ok(BufReader::new(stream))
}

/// Sends a command, and returns the reply or the error as text, each value on a line, like `redis-cli`.
pub fn redis_cli(port: u16, args: &[&str]) -> String {
    let mut text = String::new();
    let sent = send(port, args);
    if let Err(error) = sent.and_then(|mut replies| read_reply(&mut replies, &mut text)) {
        text = error.to_string();
    }
    text
}

fn read_reply(replies: &mut impl BufRead, text: &mut String) -> std::io::Result<()> {
    let mut line = String::new();
    replies.read_line(&mut line)?;
    let kind = line.bytes().next().ok_or(ErrorKind::UnexpectedEof)?;
    let value = line[1..].trim_end();
    match (kind, value.parse()) {
        (b'*', Ok(elements)) => return (0..elements).try_for_each(|_| read_reply(replies, text)),
        (b'$', Ok(length)) => {
            let mut bytes = vec![0; length];
            replies.read_exact(&mut bytes)?;
            replies.read_exact(&mut [0; 2])?;
            text.push_str(&String::from_utf8_lossy(&bytes));
        }
        // `nil` has the length -1.
        (b'*' | b'$', Err(_)) => {}
        _ => text.push_str(value),
    }
    text.push('\n');
    Ok(())
}

/// Waits until a reply contains `wanted`.
pub fn until(wanted: &str, mut request: impl FnMut() -> String) {
    let began = Instant::now();
    loop {
        let reply = request();
        if reply.contains(wanted) {
            return;
        }
        assert!(began.elapsed() < CHANGE_TIMEOUT, "{wanted}: {reply}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // The server may be killed already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A node with these settings.
pub fn node(settings: RedisSettings, limits: QueueLimits) -> Stores {
    let settings = TokenStoreSettings::Redis(settings);
    open_stores(&settings, limits, std::sync::Arc::new(SystemClock)).unwrap()
}

pub fn fixture(stores: Stores) -> Fixture {
    Fixture {
        stores,
        time: Time::Real,
        guard: Box::new(()),
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

fn spawn(folder: &Path, port: u16, args: &[String]) -> Child {
    Command::new("redis-server")
        .args(["--port", &port.to_string(), "--bind", "127.0.0.1"])
        .args(["--repl-diskless-sync-delay", "0", "--save", "", "--dir"])
        .arg(folder)
        .args(args)
        .stdout(Stdio::null())
        .spawn()
        .expect("redis-server is installed: apt install redis-server")
}

/// The server answers, and is `child`, not another process on the port.
fn answers(child: &mut Child, port: u16) -> bool {
    let began = Instant::now();
    while began.elapsed() < START_TIMEOUT {
        if child.try_wait().unwrap().is_some() {
            return false;
        }
        if let Ok(mut stream) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)) {
            stream.write_all(b"PING\r\n").unwrap();
            let mut reply = String::new();
            // A server that is still loading replies with an error.
            if BufReader::new(stream).read_line(&mut reply).is_ok() && reply.starts_with("+PONG") {
                return true;
            }
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    false
}
