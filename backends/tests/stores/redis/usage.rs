//! Hits of unlimited tokens whose writing was cut short, or was not answered.

use std::time::{Duration, Instant};

use asset_gateway_backends::conformance::fixture::{DEFAULT_LIMITS, Fixture, Time, id};
use asset_gateway_backends::token_store::{Access, Method};

use super::server::Server;

fn node(server: &Server) -> Fixture {
    Fixture {
        stores: server.node(DEFAULT_LIMITS),
        time: Time::Real,
        guard: Box::new(()),
    }
}

/// What Redis has, which the other node sees; it may take a moment.
async fn written(other: &Fixture, hits: u64) {
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

/// Redis forgets which calls it has run, as it does after a minute.
fn a_minute_later(server: &Server) {
    let forget =
        "for _, key in ipairs(redis.call('KEYS', 'ag:*:q:*')) do redis.call('DEL', key) end";
    server.ask(&["EVAL", forget, "0"]);
}

/// One hit is written, and another one waits for it.
async fn stopped_with_a_hit_to_write() -> (Server, Fixture, Fixture) {
    let server = Server::start();
    let (own, other) = (node(&server), node(&server));
    own.create(id(1), own.record(Method::Get)).await;
    own.admit(id(1), Access::Get).await;
    // Redis knows the script from here on.
    own.stores.tokens.flush_usage().await.unwrap();
    own.admit(id(1), Access::Get).await;
    written(&other, 1).await;
    server.signal("STOP");
    (server, own, other)
}

/// Redis has done it all the same: the end writes what is left, and nothing twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flush_that_is_cut_short() {
    let (server, own, other) = stopped_with_a_hit_to_write().await;
    let flush = own.stores.tokens.flush_usage();
    let cut = tokio::time::timeout(Duration::from_millis(200), flush).await;
    assert!(cut.is_err());
    server.signal("CONT");
    written(&other, 2).await;
    own.admit(id(1), Access::Get).await;
    own.stores.tokens.close().await.unwrap();
    assert_eq!(other.used(id(1)).await, 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_is_lost() {
    let (server, own, other) = stopped_with_a_hit_to_write().await;
    own.stores.tokens.flush_usage().await.unwrap_err();
    server.signal("CONT");
    written(&other, 2).await;
    a_minute_later(&server);
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
