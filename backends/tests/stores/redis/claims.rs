//! A claim that fails loses nothing: what it was about is looked at again by the next one.

use std::time::{Duration, Instant};

use asset_gateway_backends::conformance::fixture::{DEFAULT_LIMITS, Fixture, LEASE, Time};

use super::cluster::Cluster;
use super::server::Server;

fn node(server: &Server) -> Fixture {
    Fixture {
        stores: server.node(DEFAULT_LIMITS),
        time: Time::Real,
        guard: Box::new(()),
    }
}

/// Behind a backlog that another node has queued, one event of this node, which knows of both.
async fn new_behind_old(server: &Server) -> Fixture {
    let other = node(server);
    let own = node(server);
    for n in 0..20 {
        let event = other.event(&n.to_string());
        other.stores.callbacks.enqueue(event).await.unwrap();
    }
    let event = own.event("new");
    own.stores.callbacks.enqueue(event).await.unwrap();
    own
}

/// A case shows something only before anybody would look everywhere: where it has taken too long for
/// that, it is run again. It says when its claim failed.
async fn in_time(case: impl AsyncFn() -> Instant) {
    for _ in 0..5 {
        if case().await.elapsed() < Duration::from_millis(2_500) {
            return;
        }
    }
    panic!("never in time");
}

/// One that is new and one that is old.
async fn claims_both(own: &Fixture) {
    let claimed = own.stores.callbacks.claim(2, LEASE).await.unwrap();
    let keys: Vec<_> = claimed.iter().map(|one| one.event.key.as_str()).collect();
    assert!(keys.len() == 2 && keys.contains(&"new"), "{keys:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_redis_is_away() {
    in_time(async || {
        let mut server = Server::durable();
        let own = new_behind_old(&server).await;
        server.kill();
        let failed_at = Instant::now();
        own.stores.callbacks.claim(2, LEASE).await.unwrap_err();
        server.restart();
        while own.stores.tokens.ping().await.is_err() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        claims_both(&own).await;
        failed_at
    })
    .await;
}

/// It says what is due, and then takes no write.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_redis_refuses_to_write() {
    in_time(async || {
        let server = Server::start();
        let own = new_behind_old(&server).await;
        server.ask(&["CONFIG", "SET", "min-replicas-to-write", "1"]);
        let failed_at = Instant::now();
        own.stores.callbacks.claim(2, LEASE).await.unwrap_err();
        server.ask(&["CONFIG", "SET", "min-replicas-to-write", "0"]);
        claims_both(&own).await;
        failed_at
    })
    .await;
}

async fn enqueue(node: &Fixture, key: &str) -> bool {
    let event = node.event(key);
    node.stores.callbacks.enqueue(event).await.is_ok()
}

/// Neither the partitions of the dead nor the events that were in them hold up the rest.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_one_master_of_a_cluster_is_away() {
    let mut cluster = Cluster::start();
    let own = cluster.fixture(DEFAULT_LIMITS);
    own.stores.callbacks.claim(1, LEASE).await.unwrap();
    for n in 0..30 {
        assert!(enqueue(&own, &n.to_string()).await);
    }
    cluster.masters[0].kill();
    let queue = &own.stores.callbacks;
    let lease = Duration::from_secs(60);
    while !queue.claim(10, lease).await.unwrap().is_empty() {}
    let began = Instant::now();
    // Longer than from one look everywhere to the next.
    for n in 0.. {
        if began.elapsed() > Duration::from_millis(3_500) {
            break;
        }
        queue.claim(10, lease).await.unwrap();
        let key = format!("new {n}");
        if enqueue(&own, &key).await {
            let claimed = queue.claim(10, lease).await.unwrap();
            let keys: Vec<_> = claimed.iter().map(|one| one.event.key.as_str()).collect();
            assert!(keys.contains(&key.as_str()), "{keys:?}");
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
