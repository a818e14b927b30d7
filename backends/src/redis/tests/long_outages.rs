//! Redis is away for longer than it remembers call ids.

use std::time::{Duration, Instant};

use super::server::Server;
use super::{
    DEAD_AFTER, ID, LONG_OUTAGE, create, download, outcomes, report, start_node, sweep,
    wait_for_retries, wait_until_reachable,
};
use crate::event::Outcome;
use crate::redis::RedisStore;
use crate::token_store::TokenStore;

async fn used(node: &RedisStore) -> u64 {
    node.get(ID).await.unwrap().unwrap().used_hits
}

/// Waits for `count` events.
async fn events(node: &RedisStore, count: usize) -> Vec<Outcome> {
    let began = Instant::now();
    let mut all = Vec::new();
    while all.len() < count {
        assert!(began.elapsed() < Duration::from_secs(10), "{all:?}");
        all.extend(outcomes(node).await);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    all
}

/// A download was completed at the begin of a long outage.
async fn completed_in_a_long_outage() -> (Server, RedisStore) {
    let mut server = Server::durable();
    let node = start_node(&server, false).await;
    create(&node).await;
    let complete = download(&node).await;
    server.kill();
    let committed = node.commit(complete, report(Outcome::Complete)).await;
    committed.unwrap_err();
    tokio::time::sleep(LONG_OUTAGE).await;
    (server, node)
}

#[tokio::test]
async fn completed_downloads_are_reported_after_the_outage() {
    let (mut server, node) = completed_in_a_long_outage().await;
    server.restart();
    wait_until_reachable(&node).await;
    assert_eq!(events(&node, 1).await, [Outcome::Complete]);
    wait_for_retries(&node).await;
}

/// Their hits could be released twice.
#[tokio::test]
async fn failed_downloads_are_closed_and_stay_counted() {
    let mut server = Server::durable();
    let node = start_node(&server, true).await;
    create(&node).await;
    let (reported, unreported) = (download(&node).await, download(&node).await);
    server.kill();
    let aborted = report(Outcome::Aborted);
    node.release(reported, 0, Some(aborted)).await.unwrap_err();
    node.release(unreported, 0, None).await.unwrap_err();
    tokio::time::sleep(LONG_OUTAGE).await;
    server.restart();
    wait_until_reachable(&node).await;
    assert_eq!(events(&node, 1).await, [Outcome::Aborted]);
    wait_for_retries(&node).await;
    assert_eq!(used(&node).await, 2);
    // No open event is left for other nodes.
    let other = start_node(&server, true).await;
    node.0.sign_off().await.unwrap();
    sweep(&other).await;
    tokio::time::sleep(DEAD_AFTER + Duration::from_millis(50)).await;
    sweep(&other).await;
    assert!(outcomes(&other).await.is_empty());
}

#[tokio::test]
async fn close_waits_3_seconds_for_the_retry_queue() {
    let (_server, node) = completed_in_a_long_outage().await;
    let began = Instant::now();
    node.close().await.unwrap_err();
    assert!(began.elapsed() < Duration::from_millis(3_500));
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(node.0.retry_queue.len(), 0);
}
