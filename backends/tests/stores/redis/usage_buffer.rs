//! Batches of unlimited hits whose flush was dropped, or whose reply was lost.

use std::time::{Duration, Instant};

use asset_gateway_backends::conformance::fixture::{DEFAULT_LIMITS, Fixture, id};
use asset_gateway_backends::token_store::{Access, Method};

use super::support::server::{Server, fixture};

fn node(server: &Server) -> Fixture {
    fixture(server.node(DEFAULT_LIMITS))
}

/// Waits until Redis has so many hits, as the other node sees them.
async fn wait_for_hits(other: &Fixture, hits: u64) {
    let began = Instant::now();
    loop {
        let token = other.stores.tokens.get(id(1)).await;
        match token.map(|token| token.unwrap().used_hits) {
            Ok(used) if used == hits => return,
            used => assert!(began.elapsed() < Duration::from_secs(5), "{used:?}"),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Deletes the call ids, as Redis does after a minute.
fn expire_call_ids(server: &Server) {
    let forget =
        "for _, key in ipairs(redis.call('KEYS', 'ag:*:q:*')) do redis.call('DEL', key) end";
    server.cli(&["EVAL", forget, "0"]);
}

/// A stopped Redis that has one hit, and a node that has another one in its buffer.
async fn stopped_with_a_buffered_hit() -> (Server, Fixture, Fixture) {
    let server = Server::start();
    let (own, other) = (node(&server), node(&server));
    own.create(id(1), own.record(Method::Get)).await;
    own.admit(id(1), Access::Get).await;
    // Loads the script.
    own.stores.tokens.flush_usage().await.unwrap();
    own.admit(id(1), Access::Get).await;
    wait_for_hits(&other, 1).await;
    server.signal("STOP");
    (server, own, other)
}

/// Redis runs the script all the same. `close` writes the rest, and nothing twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flush_that_is_dropped_counts_once() {
    let (server, own, other) = stopped_with_a_buffered_hit().await;
    let flush = own.stores.tokens.flush_usage();
    let dropped = tokio::time::timeout(Duration::from_millis(200), flush).await;
    assert!(dropped.is_err());
    server.signal("CONT");
    wait_for_hits(&other, 2).await;
    own.admit(id(1), Access::Get).await;
    own.stores.tokens.close().await.unwrap();
    assert_eq!(other.used(id(1)).await, 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flush_whose_reply_is_lost_counts_once() {
    let (server, own, other) = stopped_with_a_buffered_hit().await;
    own.stores.tokens.flush_usage().await.unwrap_err();
    server.signal("CONT");
    wait_for_hits(&other, 2).await;
    expire_call_ids(&server);
    let began = Instant::now();
    while let Err(error) = own.stores.tokens.ping().await {
        assert!(began.elapsed() < Duration::from_secs(5), "{error}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    own.admit(id(1), Access::Get).await;
    own.stores.tokens.flush_usage().await.unwrap();
    assert_eq!(other.used(id(1)).await, 3);
    assert_eq!(own.used(id(1)).await, 3);
}
