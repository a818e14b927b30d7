//! A claim that fails loses nothing: the next one finds its events.

use std::time::{Duration, Instant};

use asset_gateway_backends::conformance::fixture::{DEFAULT_LIMITS, Fixture, LEASE};

use super::support::cluster::Cluster;
use super::support::server::{Server, fixture};

fn node(server: &Server) -> Fixture {
    fixture(server.node(DEFAULT_LIMITS))
}

/// A node that has queued one event after another node has queued 20.
async fn node_with_old_and_new_events(server: &Server) -> Fixture {
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

/// Repeats a case that took until the next poll of all partitions, which would hide what the case is about. The case
/// returns when its claim failed.
async fn before_next_poll(case: impl AsyncFn() -> Instant) {
    for _ in 0..5 {
        if case().await.elapsed() < Duration::from_millis(2_500) {
            return;
        }
    }
    panic!("each run took too long");
}

/// Claims one new and one old event.
async fn claim_both(own: &Fixture) {
    let claimed = own.stores.callbacks.claim(2, LEASE).await.unwrap();
    let keys: Vec<_> = claimed.iter().map(|one| one.event.key.as_str()).collect();
    assert!(keys.len() == 2 && keys.contains(&"new"), "{keys:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_claim_during_an_outage_loses_no_events() {
    before_next_poll(async || {
        let mut server = Server::durable();
        let own = node_with_old_and_new_events(&server).await;
        server.kill();
        let failed_at = Instant::now();
        own.stores.callbacks.claim(2, LEASE).await.unwrap_err();
        server.restart();
        while own.stores.tokens.ping().await.is_err() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        claim_both(&own).await;
        failed_at
    })
    .await;
}

/// Redis returns the due events, and then refuses the claim.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_claim_that_redis_refuses_loses_no_events() {
    before_next_poll(async || {
        let server = Server::start();
        let own = node_with_old_and_new_events(&server).await;
        server.cli(&["CONFIG", "SET", "min-replicas-to-write", "1"]);
        let failed_at = Instant::now();
        own.stores.callbacks.claim(2, LEASE).await.unwrap_err();
        server.cli(&["CONFIG", "SET", "min-replicas-to-write", "0"]);
        claim_both(&own).await;
        failed_at
    })
    .await;
}

async fn enqueue(node: &Fixture, key: &str) -> bool {
    let event = node.event(key);
    node.stores.callbacks.enqueue(event).await.is_ok()
}

/// Its partitions, and the events in them, do not delay the others.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn claims_go_on_while_a_master_of_a_cluster_is_down() {
    let mut cluster = Cluster::start();
    let own = fixture(cluster.node(DEFAULT_LIMITS));
    own.stores.callbacks.claim(1, LEASE).await.unwrap();
    for n in 0..30 {
        assert!(enqueue(&own, &n.to_string()).await);
    }
    cluster.masters[0].kill();
    let queue = &own.stores.callbacks;
    let lease = Duration::from_secs(60);
    while !queue.claim(10, lease).await.unwrap().is_empty() {}
    let began = Instant::now();
    // Longer than the interval between polls of all partitions.
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
