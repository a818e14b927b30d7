//! Masters die, or are replaced, under load: how soon writes go on, and which of those that were acknowledged are gone.
//! Redis replicates asynchronously: how many is counted, not demanded.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use asset_gateway_backends::clock::SystemClock;
use asset_gateway_backends::conformance::fixture::{DEFAULT_LIMITS, Fixture, Time, id};
use asset_gateway_backends::open::open_stores;
use asset_gateway_backends::settings::{RedisMode, RedisSettings, TokenStoreSettings};
use asset_gateway_backends::token_store::{Method, TokenId};
use futures_util::{StreamExt, stream};
use parking_lot::Mutex;

use super::cluster::Cluster;
use super::sentinel::Sentinel;
use super::server::{Server, ask, until};

const WRITERS: u64 = 16;
const BEFORE: Duration = Duration::from_millis(1_500);
const AFTER: Duration = Duration::from_secs(3);

/// Tokens that are created all the time, and those that were acknowledged.
struct Load {
    f: Arc<Fixture>,
    acknowledged: Arc<Mutex<Vec<(Instant, TokenId)>>>,
    writers: Vec<tokio::task::JoinHandle<()>>,
}

impl Load {
    /// In the partitions that `first_bytes` name.
    fn start(settings: RedisSettings, first_bytes: Vec<u8>) -> Self {
        let settings = TokenStoreSettings::Redis(settings);
        let f = Arc::new(Fixture {
            stores: open_stores(&settings, DEFAULT_LIMITS, Arc::new(SystemClock)).unwrap(),
            time: Time::Real,
            guard: Box::new(()),
        });
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
                // Sentinels end the connections to the old master a second time.
                Err(error) => assert!(began.elapsed() < AFTER, "{error}"),
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// `end` takes the master away; one of the `replicas` is then promoted. Says what became of the
    /// writes.
    async fn survive(self, end: impl FnOnce() + Send + 'static, replicas: Vec<u16>, what: &str) {
        tokio::time::sleep(BEFORE).await;
        let ended = Instant::now();
        let promoted = tokio::task::spawn_blocking(move || {
            end();
            let role = |port: &u16| ask(*port, &["INFO", "replication"]);
            until("role:master", || replicas.iter().map(role).collect());
            Instant::now()
        });
        let promoted = promoted.await.unwrap();
        tokio::time::sleep(AFTER).await;
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
        assert!(lost < before, "{what}: it is another database");
        let healed = healed.expect("writes go on");
        assert!(healed < Duration::from_secs(2), "{what}: {healed:?}");
    }
}

#[derive(Clone, Copy)]
enum End {
    /// As `kill -9` does it.
    Killed,
    /// Another one is made master while it lives: what it takes until it has heard of that is gone.
    Replaced,
}

async fn sentinel(end: End, wait_replicas: u32, what: &str) {
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
    // What is left of it lives as long as the test.
    let (keep, kept) = std::sync::mpsc::channel();
    let end = move || {
        match end {
            End::Killed => master.kill(),
            End::Replaced => {
                let answer = ask(sentinel_port, &["SENTINEL", "FAILOVER", "shop"]);
                assert_eq!(answer, "OK\n");
            }
        }
        keep.send(master).unwrap();
    };
    load.survive(end, ports, what).await;
    drop(kept);
}

async fn cluster(end: End, wait_replicas: u32, what: &str) {
    let mut cluster = Cluster::with_replicas(2);
    let settings = RedisSettings {
        wait_replicas,
        ..cluster.settings()
    };
    let of_first = (0..=255).filter(|byte| {
        let slot = cluster.masters[0].ask(&["CLUSTER", "KEYSLOT", &format!("{byte:02x}")]);
        slot.trim().parse::<u16>().unwrap() <= 5_460
    });
    let load = Load::start(settings, of_first.step_by(8).collect());
    let ports: Vec<u16> = cluster.replicas[..2].iter().map(Server::port).collect();
    let heir = ports[0];
    let mut master = cluster.masters.remove(0);
    let (keep, kept) = std::sync::mpsc::channel();
    let end = move || {
        match end {
            End::Killed => master.kill(),
            End::Replaced => {
                let answer = ask(heir, &["CLUSTER", "FAILOVER", "TAKEOVER"]);
                assert_eq!(answer, "OK\n");
            }
        }
        keep.send(master).unwrap();
    };
    load.survive(end, ports, what).await;
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
    sentinel_killed: sentinel(End::Killed, 0),
    sentinel_killed_waiting_for_one: sentinel(End::Killed, 1),
    sentinel_replaced: sentinel(End::Replaced, 0),
    sentinel_replaced_waiting_for_one: sentinel(End::Replaced, 1),
    cluster_killed: cluster(End::Killed, 0),
    cluster_killed_waiting_for_one: cluster(End::Killed, 1),
    cluster_replaced: cluster(End::Replaced, 0),
    cluster_replaced_waiting_for_one: cluster(End::Replaced, 1),
);
