//! Masters die or are replaced under load: measures how soon writes go on, and how many acknowledged writes are lost.
//!
//! Redis replicates asynchronously, so that some loss is expected.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use asset_gateway_backends::conformance::fixture::{DEFAULT_LIMITS, Fixture, id};
use asset_gateway_backends::settings::{RedisMode, RedisSettings};
use asset_gateway_backends::token_store::{Method, TokenId};
use futures_util::{StreamExt, stream};
use parking_lot::Mutex;

use super::support::cluster::Cluster;
use super::support::sentinel::Sentinel;
use super::support::server::{Server, fixture, node, redis_cli, until};

const WRITERS: u64 = 16;
const LOAD_BEFORE: Duration = Duration::from_millis(1_500);
const LOAD_AFTER: Duration = Duration::from_secs(3);

/// Writers that create tokens, and the tokens that were acknowledged.
struct Load {
    f: Arc<Fixture>,
    acknowledged: Arc<Mutex<Vec<(Instant, TokenId)>>>,
    writers: Vec<tokio::task::JoinHandle<()>>,
}

impl Load {
    /// Creates tokens in the partitions that `first_bytes` name.
    fn start(settings: RedisSettings, first_bytes: Vec<u8>) -> Self {
        let f = Arc::new(fixture(node(settings, DEFAULT_LIMITS)));
        let acknowledged = Arc::<Mutex<Vec<_>>>::default();
        let number = Arc::new(AtomicU64::new(0));
        let write = |_| {
            let (f, acknowledged, number) = (f.clone(), acknowledged.clone(), number.clone());
            let first_bytes = first_bytes.clone();
            tokio::spawn(async move {
                loop {
                    let n = number.fetch_add(1, Ordering::Relaxed);
                    let mut id = id(n);
                    id.0[0] = first_bytes[n as usize % first_bytes.len()];
                    let record = f.record(Method::Get);
                    match f.stores.tokens.create(vec![(id, record)]).await {
                        Ok(_) => acknowledged.lock().push((Instant::now(), id)),
                        Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
                    }
                }
            })
        };
        Self {
            writers: (0..WRITERS).map(write).collect(),
            f,
            acknowledged,
        }
    }

    async fn is_there(&self, id: TokenId) -> bool {
        let began = Instant::now();
        loop {
            match self.f.stores.tokens.get(id).await {
                Ok(stored) => return stored.is_some(),
                // Sentinels close connections to the old master twice.
                Err(error) => assert!(began.elapsed() < LOAD_AFTER, "{error}"),
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Removes the master with `end`, waits until one of the `replicas` is promoted, and prints what became of the writes.
    async fn fail_over(self, end: impl FnOnce() + Send + 'static, replicas: Vec<u16>, what: &str) {
        tokio::time::sleep(LOAD_BEFORE).await;
        let ended = Instant::now();
        let promoted = tokio::task::spawn_blocking(move || {
            end();
            let role = |port: &u16| redis_cli(*port, &["INFO", "replication"]);
            until("role:master", || replicas.iter().map(role).collect());
            Instant::now()
        });
        let promoted = promoted.await.unwrap();
        tokio::time::sleep(LOAD_AFTER).await;
        for writer in &self.writers {
            writer.abort();
        }
        let acknowledged = self.acknowledged.lock().clone();
        let before = acknowledged.iter().filter(|(at, _)| *at <= ended).count();
        let (mut lost, mut healed) = (0, None);
        let look = acknowledged
            .iter()
            .map(async |(at, id)| (*at, self.is_there(*id).await));
        for (at, is_there) in stream::iter(look).buffered(64).collect::<Vec<_>>().await {
            match is_there {
                true if at > promoted => healed = healed.or(Some(at - promoted)),
                true => {}
                false => lost += 1,
            }
        }
        println!(
            "{what}: {} acknowledged, {before} of them before; {lost} lost; \
             promoted after {:?}, healed {healed:?} later",
            acknowledged.len(),
            promoted - ended,
        );
        assert!(before > 100, "{what}: there was no load");
        assert!(lost < before, "{what}: every write is lost");
        let healed = healed.expect("writes go on");
        assert!(healed < Duration::from_secs(2), "{what}: {healed:?}");
    }
}

#[derive(Clone, Copy)]
enum End {
    /// As `kill -9` does it.
    Killed,
    /// Another one is promoted while it runs. What it accepts until it knows is lost.
    Replaced,
}

async fn sentinel_failover(end: End, wait_replicas: u32, what: &str) {
    let mut master = Server::start();
    let replicas = [(); 2].map(|()| Server::replica_of(&master));
    let sentinel = Sentinel::watch(&master, 2);
    let settings = RedisSettings {
        addresses: vec![sentinel.address()],
        mode: RedisMode::Sentinel,
        master_name: "shop".into(),
        wait_replicas,
        ..RedisSettings::default()
    };
    let load = Load::start(settings, (0..=255).collect());
    let ports = replicas.iter().map(Server::port).collect();
    let sentinel_port = sentinel.port();
    // A replaced master lives as long as the test.
    let (keep, kept) = std::sync::mpsc::channel();
    let end = move || {
        match end {
            End::Killed => master.kill(),
            End::Replaced => {
                let reply = redis_cli(sentinel_port, &["SENTINEL", "FAILOVER", "shop"]);
                assert_eq!(reply, "OK\n");
            }
        }
        keep.send(master).unwrap();
    };
    load.fail_over(end, ports, what).await;
    drop(kept);
}

async fn cluster_failover(end: End, wait_replicas: u32, what: &str) {
    let mut cluster = Cluster::with_replicas(2);
    let settings = RedisSettings {
        wait_replicas,
        ..cluster.settings()
    };
    let of_first = (0..=255).filter(|byte| {
        let slot = cluster.masters[0].cli(&["CLUSTER", "KEYSLOT", &format!("{byte:02x}")]);
        slot.trim().parse::<u16>().unwrap() <= 5_460
    });
    let load = Load::start(settings, of_first.step_by(8).collect());
    let ports: Vec<u16> = cluster.replicas[..2].iter().map(Server::port).collect();
    let successor = ports[0];
    let mut master = cluster.masters.remove(0);
    let (keep, kept) = std::sync::mpsc::channel();
    let end = move || {
        match end {
            End::Killed => master.kill(),
            End::Replaced => {
                let reply = redis_cli(successor, &["CLUSTER", "FAILOVER", "TAKEOVER"]);
                assert_eq!(reply, "OK\n");
            }
        }
        keep.send(master).unwrap();
    };
    load.fail_over(end, ports, what).await;
    drop(kept);
}

macro_rules! failovers {
    ($($name:ident: $of:ident($end:expr, $wait_replicas:literal),)+) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                $of($end, $wait_replicas, stringify!($name)).await;
            }
        )+
    };
}

failovers!(
    sentinel_killed: sentinel_failover(End::Killed, 0),
    sentinel_killed_waiting_for_one: sentinel_failover(End::Killed, 1),
    sentinel_replaced: sentinel_failover(End::Replaced, 0),
    sentinel_replaced_waiting_for_one: sentinel_failover(End::Replaced, 1),
    cluster_killed: cluster_failover(End::Killed, 0),
    cluster_killed_waiting_for_one: cluster_failover(End::Killed, 1),
    cluster_replaced: cluster_failover(End::Replaced, 0),
    cluster_replaced_waiting_for_one: cluster_failover(End::Replaced, 1),
);
