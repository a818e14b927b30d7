//! The master dies, and the sentinel names another one.

use std::time::{Duration, Instant};

use asset_gateway_backends::conformance::fixture::{DEFAULT_LIMITS, id};
use asset_gateway_backends::settings::{RedisMode, RedisSettings};
use asset_gateway_backends::token_store::{Access, Method, Refusal};

use super::support::sentinel::Sentinel;
use super::support::server::{Server, fixture, node, settings};

const FAILOVER_TIMEOUT: Duration = Duration::from_secs(25);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failover_is_followed() {
    let mut master = Server::start();
    let replica = Server::replica_of(&master);
    let sentinel = Sentinel::watch(&master, 1);

    let settings = RedisSettings {
        // The first sentinel does not answer.
        addresses: vec!["127.0.0.1:1".into(), sentinel.address()],
        mode: RedisMode::Sentinel,
        master_name: "shop".into(),
        ..settings("")
    };
    let f = fixture(node(settings, DEFAULT_LIMITS));
    f.create(id(1), f.limited(Method::Get, 2)).await;
    f.admit(id(1), Access::Get).await;
    // A replica reports what it has only once a second.
    tokio::time::sleep(Duration::from_millis(2500)).await;

    master.kill();
    let began = Instant::now();
    while f.stores.tokens.get(id(1)).await.is_err() {
        assert!(began.elapsed() < FAILOVER_TIMEOUT);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(f.used(id(1)).await, 1);
    f.admit(id(1), Access::Get).await;
    assert_eq!(f.refusal(id(1), Access::Get).await, Refusal::HitsExceeded);
    drop(replica);
}
