//! Settings that this version does not know how to serve.

use std::sync::Arc;

use asset_gateway_backends::clock::SystemClock;
use asset_gateway_backends::open::open_stores;
use asset_gateway_backends::settings::{
    QueueLimits, RedisMode, RedisSettings, Secret, TokenStoreSettings,
};

use super::server::settings;

fn refusal(settings: RedisSettings) -> String {
    let settings = TokenStoreSettings::Redis(settings);
    let opened = open_stores(&settings, QueueLimits::default(), Arc::new(SystemClock));
    opened.err().expect("refused").to_string()
}

#[tokio::test]
async fn later_modes_are_refused_in_words() {
    let cluster = RedisSettings {
        mode: RedisMode::Cluster,
        ..settings("127.0.0.1:1")
    };
    assert!(refusal(cluster).contains("`mode: cluster`"));
    let waits = RedisSettings {
        wait_replicas: 1,
        ..settings("127.0.0.1:1")
    };
    assert!(refusal(waits).contains("`wait_replicas`"));
}

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
