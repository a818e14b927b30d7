//! The master dies, and sentinels name another one.

use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use asset_gateway_backends::clock::SystemClock;
use asset_gateway_backends::conformance::fixture::{DEFAULT_LIMITS, Fixture, Time, id};
use asset_gateway_backends::open::open_stores;
use asset_gateway_backends::settings::{RedisMode, RedisSettings, TokenStoreSettings};
use asset_gateway_backends::token_store::{Access, Method, Refusal};

use super::server::{Server, ask, free_port, settings, until};

const PATIENCE: Duration = Duration::from_secs(25);

/// A sentinel that watches a master under the name `shop`, and decides alone.
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
    /// Returns when it knows all `replicas`.
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
        until(&known, || ask(port, &["INFO", "sentinel"]));
        sentinel
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failover_is_followed() {
    let mut master = Server::start();
    let replica = Server::replica_of(&master);
    let sentinel = Sentinel::watch(&master, 1);

    let settings = TokenStoreSettings::Redis(RedisSettings {
        // The first does not answer: the next one is asked.
        addresses: vec!["127.0.0.1:1".into(), sentinel.address()],
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
