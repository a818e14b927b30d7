//! Open events of a node that dies are closed by the other nodes.

use std::time::Duration;

use super::server::Server;
use super::{
    DEAD_AFTER, ID, create, download, outcomes, report, start_node, sweep, wait_until_reachable,
};
use crate::event::Outcome;
use crate::token_store::TokenStore;

/// The outcomes of a dead node's downloads. Those of a node that is alive stay open.
async fn outcomes_after_a_node_dies(report_incomplete: bool) -> Vec<Outcome> {
    let server = Server::start();
    let dying = start_node(&server, report_incomplete).await;
    let living = start_node(&server, report_incomplete).await;
    let sweeper = start_node(&server, report_incomplete).await;
    create(&sweeper).await;
    for _ in 0..120 {
        download(&dying).await;
    }
    let last = download(&dying).await;
    let under_way = download(&living).await;
    for node in [&dying, &living] {
        node.0.write_heartbeat().await.unwrap();
    }
    sweep(&sweeper).await;
    // The node runs on without a heartbeat.
    dying.0.sign_off().await.unwrap();
    sweep(&sweeper).await;
    assert!(outcomes(&sweeper).await.is_empty(), "too early");
    tokio::time::sleep(DEAD_AFTER + Duration::from_millis(50)).await;
    sweep(&sweeper).await;
    let ended = outcomes(&sweeper).await;
    // The dead node commits after all: too late.
    let complete = report(Outcome::Complete);
    dying.commit(last, complete.clone()).await.unwrap();
    assert!(outcomes(&sweeper).await.is_empty());
    living.commit(under_way, complete).await.unwrap();
    // Queued by another node: found by the next poll of all partitions.
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(outcomes(&sweeper).await, [Outcome::Complete]);
    assert_eq!(sweeper.get(ID).await.unwrap().unwrap().used_hits, 122);
    ended
}

#[tokio::test]
async fn downloads_of_a_dead_node_are_interrupted() {
    assert_eq!(
        outcomes_after_a_node_dies(true).await,
        [Outcome::Interrupted; 121]
    );
}

#[tokio::test]
async fn downloads_of_a_dead_node_are_dropped_unless_reported() {
    assert!(outcomes_after_a_node_dies(false).await.is_empty());
}

/// A heartbeat was missing before the outage. During the outage no node can write one.
#[tokio::test]
async fn heartbeats_missed_in_an_outage_do_not_count() {
    let mut server = Server::durable();
    let silent = start_node(&server, false).await;
    let sweeper = start_node(&server, false).await;
    create(&sweeper).await;
    let under_way = download(&silent).await;
    silent.0.sign_off().await.unwrap();
    sweep(&sweeper).await;
    server.kill();
    sweeper.sweep(Duration::from_secs(60)).await.unwrap_err();
    tokio::time::sleep(DEAD_AFTER + Duration::from_millis(50)).await;
    server.restart();
    wait_until_reachable(&sweeper).await;
    sweep(&sweeper).await;
    wait_until_reachable(&silent).await;
    silent.0.write_heartbeat().await.unwrap();
    let complete = report(Outcome::Complete);
    silent.commit(under_way, complete).await.unwrap();
    assert_eq!(outcomes(&silent).await, [Outcome::Complete]);
}
