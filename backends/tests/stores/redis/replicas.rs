//! Writes that count as done only when replicas have them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use asset_gateway_backends::ErrorKind;
use asset_gateway_backends::clock::SystemClock;
use asset_gateway_backends::conformance::fixture::{DEFAULT_LIMITS, Fixture, Time, id, request};
use asset_gateway_backends::open::open_stores;
use asset_gateway_backends::settings::{RedisSettings, TokenStoreSettings};
use asset_gateway_backends::token_store::{Access, Method};
use futures_util::future::join_all;

use super::server::Server;

fn node(master: &Server) -> Fixture {
    let settings = TokenStoreSettings::Redis(RedisSettings {
        wait_replicas: 1,
        ..master.settings()
    });
    Fixture {
        stores: open_stores(&settings, DEFAULT_LIMITS, Arc::new(SystemClock)).unwrap(),
        time: Time::Real,
        guard: Box::new(()),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_that_is_acknowledged_is_on_the_replica() {
    let mut master = Server::start();
    let replica = Server::replica_of(&master);
    let f = node(&master);
    f.create(id(1), f.limited(Method::Get, 1_000)).await;
    let hits = (0..200).map(|_| {
        let tokens = f.stores.tokens.clone();
        tokio::spawn(async move { tokens.reserve(id(1), &request(Access::Get)).await.unwrap() })
    });
    join_all(hits).await;
    master.kill();
    let key = format!("ag:{{{:02x}}}:t:{}", id(1).0[0], id(1));
    assert_eq!(replica.ask(&["HGET", &key, "u"]).trim(), "200");
}

/// Nobody is told that something was written, nobody waits for long, and hits are not gone for it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_replica_writes_are_refused() {
    let master = Server::start();
    let mut replica = Server::replica_of(&master);
    let f = node(&master);
    f.create(id(1), f.limited(Method::Get, 100)).await;
    f.admit(id(1), Access::Get).await;
    f.create(id(2), f.record(Method::Get)).await;
    replica.kill();

    let mut took = Vec::new();
    for _ in 0..5 {
        let began = Instant::now();
        let error = f
            .stores
            .tokens
            .reserve(id(1), &request(Access::Get))
            .await
            .expect_err("too few replicas");
        assert_eq!(error.kind, ErrorKind::Unavailable, "{error}");
        took.push(began.elapsed());
    }
    assert!(took[0] < Duration::from_millis(1_500), "{took:?}");
    assert!(took[4] < Duration::from_millis(500), "{took:?}");
    // What writes nothing goes on.
    f.admit(id(2), Access::Get).await;
    assert!(f.stores.tokens.get(id(1)).await.unwrap().is_some());

    let replica = Server::replica_of(&master);
    let began = Instant::now();
    while f.used(id(1)).await != 1 {
        assert!(
            began.elapsed() < Duration::from_secs(20),
            "{}",
            f.used(id(1)).await
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let back = Instant::now();
    let wanted = request(Access::Get);
    while f.stores.tokens.reserve(id(1), &wanted).await.is_err() {
        assert!(back.elapsed() < Duration::from_secs(2));
    }
    while f.used(id(1)).await != 2 {
        assert!(
            began.elapsed() < Duration::from_secs(20),
            "{}",
            f.used(id(1)).await
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    drop(replica);
}
