//! `wait_replicas`: writes succeed only when replicas have them.

use std::time::{Duration, Instant};

use asset_gateway_backends::ErrorKind;
use asset_gateway_backends::conformance::fixture::{DEFAULT_LIMITS, Fixture, id, request};
use asset_gateway_backends::settings::RedisSettings;
use asset_gateway_backends::token_store::{Access, Method};
use futures_util::future::join_all;

use super::support::server::{self, Server, fixture};

fn node(master: &Server) -> Fixture {
    let settings = RedisSettings {
        wait_replicas: 1,
        ..master.settings()
    };
    fixture(server::node(settings, DEFAULT_LIMITS))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_acknowledged_write_is_on_the_replica() {
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
    assert_eq!(replica.cli(&["HGET", &key, "u"]).trim(), "200");
}

/// They fail soon, and undo their hits.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writes_without_the_replica_are_refused() {
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
    // Reads, and hits of unlimited tokens, need no replica.
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
