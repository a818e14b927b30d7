//! Redis goes away and comes back.

use std::time::{Duration, Instant};

use asset_gateway_backends::ErrorKind;
use asset_gateway_backends::conformance::fixture::{Fixture, Time, id};
use asset_gateway_backends::settings::QueueLimits;
use asset_gateway_backends::token_store::{Access, Method, Refusal};

use super::server::Server;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_said_is_there_after_a_kill() {
    let mut server = Server::durable();
    let f = Fixture {
        stores: server.node(QueueLimits::default()),
        time: Time::Real,
        guard: Box::new(()),
    };
    let mut record = f.limited(Method::Get, 3);
    record.callback = Some("https://back.example.com/hook".into());
    f.create(id(1), record).await;
    let counted = f.admit(id(1), Access::Get).await;
    f.admit(id(1), Access::Get).await;
    f.stores.callbacks.enqueue(f.event("a")).await.unwrap();

    server.kill();
    let mut longest = Duration::ZERO;
    for _ in 0..20 {
        let began = Instant::now();
        let error = f.stores.tokens.get(id(1)).await.unwrap_err();
        longest = longest.max(began.elapsed());
        assert_eq!(error.kind, ErrorKind::Unavailable, "{error}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(longest < Duration::from_millis(500), "{longest:?}");

    server.restart();
    let back = Instant::now();
    while f.stores.tokens.ping().await.is_err() {
        assert!(back.elapsed() < Duration::from_secs(2));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(f.used(id(1)).await, 2);
    f.stores.tokens.release(counted, 0, None).await.unwrap();
    f.admit(id(1), Access::Get).await;
    f.admit(id(1), Access::Get).await;
    assert_eq!(f.refusal(id(1), Access::Get).await, Refusal::HitsExceeded);
    assert_eq!(f.take_events().await.len(), 1);
}

/// Nobody has called meanwhile: the connection is found broken all the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_heals_unused() {
    let mut server = Server::durable();
    let stores = server.node(QueueLimits::default());
    stores.tokens.ping().await.unwrap();
    server.kill();
    tokio::time::sleep(Duration::from_millis(700)).await;
    server.restart();
    tokio::time::sleep(Duration::from_secs(2)).await;
    stores.tokens.ping().await.unwrap();
}

/// It takes connections and answers nothing: that is found out in time, and is then as good as away.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_hangs_is_away() {
    let server = Server::start();
    let stores = server.node(QueueLimits::default());
    stores.tokens.ping().await.unwrap();
    server.signal("STOP");
    let began = Instant::now();
    let mut last = Duration::MAX;
    while last > Duration::from_millis(100) {
        let asked = Instant::now();
        let error = stores.tokens.get(id(1)).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Unavailable, "{error}");
        last = asked.elapsed();
        assert!(last < Duration::from_millis(2_500), "{last:?}");
        assert!(began.elapsed() < Duration::from_secs(6), "calls still wait");
    }
    server.signal("CONT");
    let back = Instant::now();
    while stores.tokens.ping().await.is_err() {
        assert!(back.elapsed() < Duration::from_secs(2));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
