//! A Redis that cannot be reached.

use asset_gateway_backends::settings::{QueueLimits, RedisSettings, Secret};

use super::support::server::{node, settings};

/// The store opens all the same. Errors and `Debug` texts hold no password.
#[tokio::test]
async fn an_unreachable_redis_is_unavailable() {
    let unreachable = RedisSettings {
        password: Secret::new("geheim"),
        ..settings("127.0.0.1:1")
    };
    assert!(!format!("{unreachable:?}").contains("geheim"));
    let stores = node(unreachable, QueueLimits::default());
    let error = stores.tokens.ping().await.unwrap_err();
    assert_eq!(error.kind, asset_gateway_backends::ErrorKind::Unavailable);
    assert!(!error.to_string().contains("geheim"), "{error}");
}
