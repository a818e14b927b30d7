//! What a node that dies leaves open is ended by the others.

use std::time::Duration;

use super::server::{MISSED_FOR, Server, reached};
use super::{ID, create, download, outcomes, report, sweep};
use crate::event::Outcome;
use crate::token_store::TokenStore;

/// Its downloads are ended by another node, those of the living are not.
async fn a_node_dies(report_incomplete: bool) -> Vec<Outcome> {
    let server = Server::start();
    let dying = server.node(report_incomplete).await;
    let living = server.node(report_incomplete).await;
    let sweeper = server.node(report_incomplete).await;
    create(&sweeper).await;
    for _ in 0..120 {
        download(&dying).await;
    }
    let last = download(&dying).await;
    let under_way = download(&living).await;
    for node in [&dying, &living] {
        node.0.show_life().await.unwrap();
    }
    sweep(&sweeper).await;
    // It stays, but says nothing any more.
    dying.0.end_life().await.unwrap();
    sweep(&sweeper).await;
    assert!(outcomes(&sweeper).await.is_empty(), "too early");
    tokio::time::sleep(MISSED_FOR + Duration::from_millis(50)).await;
    sweep(&sweeper).await;
    let ended = outcomes(&sweeper).await;
    // It lives after all: too late.
    let complete = report(Outcome::Complete);
    dying.commit(last, complete.clone()).await.unwrap();
    assert!(outcomes(&sweeper).await.is_empty());
    living.commit(under_way, complete).await.unwrap();
    // Queued by another node: seen at the next look everywhere.
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(outcomes(&sweeper).await, [Outcome::Complete]);
    assert_eq!(sweeper.get(ID).await.unwrap().unwrap().used_hits, 122);
    ended
}

#[tokio::test]
async fn downloads_of_a_dead_node_are_interrupted() {
    assert_eq!(a_node_dies(true).await, [Outcome::Interrupted; 121]);
}

#[tokio::test]
async fn or_dropped_where_nobody_wants_to_know() {
    assert!(a_node_dies(false).await.is_empty());
}

/// One of them was not heard of before an outage. Nobody can be heard of in it.
#[tokio::test]
async fn an_outage_is_no_death() {
    let mut server = Server::durable();
    let silent = server.node(false).await;
    let sweeper = server.node(false).await;
    create(&sweeper).await;
    let under_way = download(&silent).await;
    silent.0.end_life().await.unwrap();
    sweep(&sweeper).await;
    server.kill();
    sweeper.sweep(Duration::from_secs(60)).await.unwrap_err();
    tokio::time::sleep(MISSED_FOR + Duration::from_millis(50)).await;
    server.restart();
    reached(&sweeper).await;
    sweep(&sweeper).await;
    reached(&silent).await;
    silent.0.show_life().await.unwrap();
    let complete = report(Outcome::Complete);
    silent.commit(under_way, complete).await.unwrap();
    assert_eq!(outcomes(&silent).await, [Outcome::Complete]);
}
