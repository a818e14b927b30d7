//! Redis is away for longer than its memory of ids lasts.

use std::time::{Duration, Instant};

use super::server::{LONGER, MISSED_FOR, Server, all_done, reached};
use super::{ID, create, download, outcomes, report, sweep};
use crate::event::Outcome;
use crate::redis::RedisStore;
use crate::token_store::TokenStore;

async fn used(node: &RedisStore) -> u64 {
    node.get(ID).await.unwrap().unwrap().used_hits
}

/// Waits for so many events.
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

/// A download was completed while the server was away, and that for long.
async fn completed_in_an_outage() -> (Server, RedisStore) {
    let mut server = Server::durable();
    let node = server.node(false).await;
    create(&node).await;
    let complete = download(&node).await;
    server.kill();
    let ended = node.commit(complete, report(Outcome::Complete)).await;
    ended.unwrap_err();
    tokio::time::sleep(LONGER).await;
    (server, node)
}

#[tokio::test]
async fn completed_downloads_are_reported_afterwards() {
    let (mut server, node) = completed_in_an_outage().await;
    server.restart();
    reached(&node).await;
    assert_eq!(events(&node, 1).await, [Outcome::Complete]);
    all_done(&node).await;
}

/// Its hit might be given back twice: it stays counted, and only that.
#[tokio::test]
async fn downloads_that_failed_are_ended_and_stay_counted() {
    let mut server = Server::durable();
    let node = server.node(true).await;
    create(&node).await;
    let (told, untold) = (download(&node).await, download(&node).await);
    server.kill();
    let aborted = report(Outcome::Aborted);
    node.release(told, 0, Some(aborted)).await.unwrap_err();
    node.release(untold, 0, None).await.unwrap_err();
    tokio::time::sleep(LONGER).await;
    server.restart();
    reached(&node).await;
    assert_eq!(events(&node, 1).await, [Outcome::Aborted]);
    all_done(&node).await;
    assert_eq!(used(&node).await, 2);
    // Nothing is left open for others to end.
    let other = server.node(true).await;
    node.0.end_life().await.unwrap();
    sweep(&other).await;
    tokio::time::sleep(MISSED_FOR + Duration::from_millis(50)).await;
    sweep(&other).await;
    assert!(outcomes(&other).await.is_empty());
}

#[tokio::test]
async fn a_store_that_is_closed_waits_no_longer_than_before() {
    let (_server, node) = completed_in_an_outage().await;
    let began = Instant::now();
    node.close().await.unwrap_err();
    assert!(began.elapsed() < Duration::from_millis(3_500));
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(node.0.deeds.count(), 0);
}
