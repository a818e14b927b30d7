//! Redis is killed under load, and comes back.

use std::time::{Duration, Instant};

use serde_json::json;

use super::mixed_traffic::Traffic;
use crate::support::api::{Api, answer, until};
use crate::support::callback_receiver::CallbackReceiver;
use crate::support::fleet::Fleet;
use crate::support::redis::server::Server;

/// Requests of each client before Redis is killed.
const BEFORE: usize = 15;
const AWAY_FOR: Duration = Duration::from_millis(2_500);
/// From the moment at which Redis answers again.
const BACK_BY: Duration = Duration::from_secs(2);
/// An answer while Redis is away comes at once; a busy machine gets its time.
const AT_ONCE: Duration = Duration::from_secs(1);

/// Asks until a limited token is served again.
async fn back(node: Api, token: String) -> Duration {
    let began = Instant::now();
    while node.get(&token).await.status != 200 {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    began.elapsed()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_outage_loses_nothing_acknowledged_and_every_node_recovers() {
    let receiver = CallbackReceiver::start().await;
    let retries = [1, 1, 1, 1, 1, 1, 1, 1, 1, 1];
    let callback = json!({"retry_seconds": retries, "timeout_seconds": 3});
    let sections = json!({"callback": callback});
    let mut fleet = Fleet::with(3, Server::durable(), sections);
    fleet.place("k", vec![7; 10_000]);
    let spare = json!({"max_hits": 1_000_000});
    let spare = fleet.nodes[0].token("GET", "k").with(spare).await;
    for round in 0..2 {
        let traffic = Traffic::start(&fleet, &receiver.url(), round).await;
        traffic.wait_for(BEFORE).await;
        fleet.redis.kill();
        traffic.is_away(true);
        let began = Instant::now();
        for node in &fleet.nodes {
            // The control plane, too; and the process lives.
            let made = node.create(json!({"key": "k", "method": "GET"})).await;
            made.assert_error(503, "unavailable");
            assert!(made.header("retry-after").is_some());
            let listed = answer(node.control("GET", "/tokens")).await;
            listed.assert_error(503, "unavailable");
            assert_eq!(answer(node.plain("GET", "/healthz")).await.status, 200);
            until("not ready", async || {
                answer(node.plain("GET", "/readyz")).await.status == 503
            })
            .await;
        }
        tokio::time::sleep(AWAY_FOR.saturating_sub(began.elapsed())).await;
        traffic.is_away(false);
        fleet.redis.restart();
        let nodes = fleet.clients().into_iter();
        let all = nodes.map(|node| tokio::spawn(back(node, spare.clone())));
        for (n, node) in all.enumerate() {
            let took = node.await.unwrap();
            eprintln!("round {round}, node {n}: served {took:?} after Redis");
            assert!(took < BACK_BY, "{took:?}");
        }
        let longest = traffic.longest_away();
        eprintln!("round {round}: the longest answer while Redis was away took {longest:?}");
        assert!(longest < AT_ONCE, "{longest:?}");
        traffic.end(&fleet, &receiver).await;
    }
}
