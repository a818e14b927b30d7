//! The master dies, and sentinels name another one.

use std::io::{BufRead, Read};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use asset_gateway_backends::clock::SystemClock;
use asset_gateway_backends::conformance::fixture::{DEFAULT_LIMITS, Fixture, Time, id};
use asset_gateway_backends::open::open_stores;
use asset_gateway_backends::settings::{RedisMode, RedisSettings, TokenStoreSettings};
use asset_gateway_backends::token_store::{Access, Method, Refusal};

use super::server::{Server, free_port, settings};

const PATIENCE: Duration = Duration::from_secs(25);

struct Sentinel {
    child: Child,
    address: String,
    _folder: tempfile::TempDir,
}

impl Drop for Sentinel {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

fn watch(master: &Server) -> Sentinel {
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
    Sentinel {
        child,
        address: format!("127.0.0.1:{port}"),
        _folder: folder,
    }
}

/// What a command answers, until it has `wanted` in it.
fn until(mut ask: impl FnMut() -> String, wanted: &str) {
    let began = Instant::now();
    loop {
        let answer = ask();
        if answer.contains(wanted) {
            return;
        }
        assert!(began.elapsed() < PATIENCE, "{wanted}: {answer}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failover_is_followed() {
    let mut master = Server::start();
    let replica = Server::replica_of(&master);
    let sentinel = watch(&master);
    let followed = || {
        let mut text = String::new();
        let mut answer = master.send(&[b"INFO".to_vec(), b"replication".to_vec()]);
        while !text.contains("master_repl_offset") {
            answer.read_line(&mut text).unwrap();
        }
        text
    };
    until(followed, "state=online");
    let known = || {
        let mut stream = match std::net::TcpStream::connect(&sentinel.address) {
            Ok(stream) => stream,
            Err(error) => return error.to_string(),
        };
        std::io::Write::write_all(&mut stream, b"INFO sentinel\r\n").unwrap();
        // The answer is short; nothing more comes.
        let patience = Duration::from_millis(200);
        stream.set_read_timeout(Some(patience)).unwrap();
        let mut bytes = [0; 4096];
        let read = stream.read(&mut bytes).unwrap_or_default();
        String::from_utf8_lossy(&bytes[..read]).into_owned()
    };
    until(known, "slaves=1");

    let settings = TokenStoreSettings::Redis(RedisSettings {
        // The first does not answer: the next one is asked.
        addresses: vec!["127.0.0.1:1".into(), sentinel.address.clone()],
        mode: RedisMode::Sentinel,
        master_name: "shop".into(),
        ..settings("")
    });
    let f = Fixture {
        stores: open_stores(&settings, DEFAULT_LIMITS, Arc::new(SystemClock)).unwrap(),
        time: Time::Real,
        guard: Box::new(()),
    };
    f.create(id(1), f.limited(Method::Get, 2)).await;
    f.admit(id(1), Access::Get).await;
    // A replica that has just joined says only once a second what it has.
    tokio::time::sleep(Duration::from_millis(2500)).await;

    master.kill();
    let began = Instant::now();
    while f.stores.tokens.get(id(1)).await.is_err() {
        assert!(began.elapsed() < PATIENCE);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(f.used(id(1)).await, 1);
    f.admit(id(1), Access::Get).await;
    assert_eq!(f.refusal(id(1), Access::Get).await, Refusal::HitsExceeded);
    drop(replica);
}
