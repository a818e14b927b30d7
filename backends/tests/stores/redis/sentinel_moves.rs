//! The master dies, and sentinels name another one.

use std::sync::Arc;
use std::time::{Duration, Instant};

use asset_gateway_backends::clock::SystemClock;
use asset_gateway_backends::conformance::fixture::{DEFAULT_LIMITS, Fixture, Time, id};
use asset_gateway_backends::open::open_stores;
use asset_gateway_backends::settings::{RedisMode, RedisSettings, TokenStoreSettings};
use asset_gateway_backends::token_store::{Access, Method, Refusal};

use super::sentinel::Sentinel;
use super::server::{Server, settings};

const PATIENCE: Duration = Duration::from_secs(25);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failover_is_followed() {
    let mut master = Server::start();
    let replica = Server::replica_of(&master);
    let sentinel = Sentinel::watch(&master, 1);

    let settings = TokenStoreSettings::Redis(RedisSettings {
        // The first does not answer: the next one is asked.
        addresses: vec!["127.0.0.1:1".into(), sentinel.address()],
        mode: RedisMode::Sentinel,
        master_name: "shop".into(),
        ..settings("")
    });
    let f = Fixture {
        stores: open_stores(&settings, DEFAULT_LIMITS, Arc::new(SystemClock)).unwrap(),
        time: Time::Real,
        guard: Box::new(()),
    };
    f.create(id(1), f.limited(Method::Get, 2)).await;
    f.admit(id(1), Access::Get).await;
    // A replica that has just joined says only once a second what it has.
    tokio::time::sleep(Duration::from_millis(2500)).await;

    master.kill();
    let began = Instant::now();
    while f.stores.tokens.get(id(1)).await.is_err() {
        assert!(began.elapsed() < PATIENCE);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(f.used(id(1)).await, 1);
    f.admit(id(1), Access::Get).await;
    assert_eq!(f.refusal(id(1), Access::Get).await, Refusal::HitsExceeded);
    drop(replica);
}
