//! A cluster changes: a master dies, a slot migrates.

use std::time::{Duration, Instant};

use asset_gateway_backends::ErrorKind;
use asset_gateway_backends::conformance::fixture::{DEFAULT_LIMITS, id, request};
use asset_gateway_backends::token_store::{Access, Method, Refusal, Reserved, TokenId};

use super::support::cluster::Cluster;
use super::support::server::{Server, fixture, until};

const HEAL_TIMEOUT: Duration = Duration::from_secs(20);

/// A token in the partition.
fn token(partition: u8) -> TokenId {
    let mut id = id(1);
    id.0[0] = partition;
    id
}

/// The port of the server that has the partition's token.
fn master_of<'a>(servers: impl Iterator<Item = &'a Server>, partition: u8) -> Option<u16> {
    let key = format!("ag:{{{partition:02x}}}:t:{}", token(partition));
    let mut servers = servers.filter(|server| server.cli(&["EXISTS", &key]).trim() == "1");
    servers.next().map(Server::port)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_partitions_of_a_dead_master_fail_until_a_replica_is_promoted() {
    let mut cluster = Cluster::with_replicas(1);
    let f = fixture(cluster.node(DEFAULT_LIMITS));
    for partition in 0..=255 {
        f.create(token(partition), f.limited(Method::Get, 2)).await;
        f.admit(token(partition), Access::Get).await;
    }
    for replica in &cluster.replicas {
        // Replication is asynchronous.
        until("master_link_status:up", || {
            replica.cli(&["INFO", "replication"])
        });
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    let dead = cluster.masters[0].port();
    let of_dead: Vec<u8> = (0..=255)
        .filter(|p| master_of(cluster.masters.iter().take(1), *p).is_some())
        .collect();
    assert!((60..120).contains(&of_dead.len()), "{of_dead:?}");
    let others: Vec<u8> = (0..=255).filter(|p| !of_dead.contains(p)).collect();

    cluster.masters[0].kill();
    let began = Instant::now();
    let mut longest = Duration::ZERO;
    // Before the promotion, tokens of other masters are served, and those of the dead one are refused at once.
    while began.elapsed() < Duration::from_millis(700) {
        for (partitions, there) in [(&others, true), (&of_dead, false)] {
            let asked = Instant::now();
            let answer = f.stores.tokens.get(token(partitions[7])).await;
            longest = longest.max(asked.elapsed());
            match answer {
                Ok(stored) => assert!(there && stored.is_some()),
                Err(error) => {
                    assert!(!there, "{error}");
                    assert_eq!(error.kind, ErrorKind::Unavailable, "{error}");
                }
            }
        }
        f.stores.tokens.ping().await.unwrap();
        f.stores.tokens.sweep(Duration::from_secs(1)).await.unwrap();
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(longest < Duration::from_millis(500), "{longest:?}");

    let replica = &cluster.replicas[0];
    until("role:master", || replica.cli(&["INFO", "replication"]));
    let promoted = Instant::now();
    while f.stores.tokens.get(token(of_dead[0])).await.is_err() {
        assert!(promoted.elapsed() < HEAL_TIMEOUT);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let healed = promoted.elapsed();
    eprintln!("healed {healed:?} after the promotion");
    assert!(healed < Duration::from_secs(2), "{healed:?}");
    assert_ne!(replica.port(), dead);
    for partition in 0..=255 {
        f.admit(token(partition), Access::Get).await;
        let refusal = f.refusal(token(partition), Access::Get).await;
        assert_eq!(refusal, Refusal::HitsExceeded, "{partition:02x}");
    }
}

/// While a slot migrates its tokens are unavailable. They are neither unknown nor counted twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokens_of_a_migrating_slot_are_unavailable() {
    const PARTITION: u8 = 0x3f;
    let cluster = Cluster::start();
    let f = fixture(cluster.node(DEFAULT_LIMITS));
    f.create(token(PARTITION), f.limited(Method::Get, 2)).await;
    f.admit(token(PARTITION), Access::Get).await;
    let from = master_of(cluster.masters.iter(), PARTITION).unwrap();
    let (source, target): (Vec<_>, Vec<_>) = cluster.masters.iter().partition(|m| m.port() == from);
    let (source, target) = (source[0], target[0]);
    let slot = source.cli(&["CLUSTER", "KEYSLOT", "ag:{3f}:"]);
    let slot = slot.trim();
    let ids = [source, target].map(|server| server.cli(&["CLUSTER", "MYID"]));
    let ids = ids.each_ref().map(|id| id.trim());
    let ok = |reply: String| assert_eq!(reply, "OK\n");
    ok(target.cli(&["CLUSTER", "SETSLOT", slot, "IMPORTING", ids[0]]));
    ok(source.cli(&["CLUSTER", "SETSLOT", slot, "MIGRATING", ids[1]]));

    for _ in 0..5 {
        let wanted = request(Access::Get);
        let reserved = f.stores.tokens.reserve(token(PARTITION), &wanted).await;
        let error = reserved.expect_err("the slot migrates");
        assert_eq!(error.kind, ErrorKind::Unavailable, "{error}");
    }
    let keys = source.cli(&["CLUSTER", "GETKEYSINSLOT", slot, "1000"]);
    let port = target.port().to_string();
    for key in keys.lines() {
        ok(source.cli(&["MIGRATE", "127.0.0.1", &port, key, "0", "5000"]));
    }
    for server in [target, source] {
        ok(server.cli(&["CLUSTER", "SETSLOT", slot, "NODE", ids[1]]));
    }
    let moved = f
        .stores
        .tokens
        .reserve(token(PARTITION), &request(Access::Get))
        .await;
    assert!(matches!(moved, Ok(Reserved::Admitted { .. })), "{moved:?}");
    let refusal = f.refusal(token(PARTITION), Access::Get).await;
    assert_eq!(refusal, Refusal::HitsExceeded);
}
