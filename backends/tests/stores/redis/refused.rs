//! A Redis that cannot be had.

use std::sync::Arc;

use asset_gateway_backends::clock::SystemClock;
use asset_gateway_backends::open::open_stores;
use asset_gateway_backends::settings::{QueueLimits, RedisSettings, Secret, TokenStoreSettings};

use super::server::settings;

/// Starting never depends on it; using it says so, and tells no password.
#[tokio::test]
async fn a_redis_that_is_not_there_is_unavailable() {
    let away = RedisSettings {
        password: Secret::new("geheim"),
        ..settings("127.0.0.1:1")
    };
    assert!(!format!("{away:?}").contains("geheim"));
    let settings = TokenStoreSettings::Redis(away);
    let stores = open_stores(&settings, QueueLimits::default(), Arc::new(SystemClock)).unwrap();
    let error = stores.tokens.ping().await.unwrap_err();
    assert_eq!(error.kind, asset_gateway_backends::ErrorKind::Unavailable);
    assert!(!error.to_string().contains("geheim"), "{error}");
}
