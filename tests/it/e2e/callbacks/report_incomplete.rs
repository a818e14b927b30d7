//! Callbacks of aborted downloads.

use serde_json::{Value, json};

use crate::support::api::until;
use crate::support::callback_receiver::CallbackReceiver;
use crate::support::gateway::Gateway;
use crate::support::raw;

fn place_large(gateway: &Gateway) {
    gateway.place("large", "");
    let large = std::fs::File::create(gateway.objects().join("large")).unwrap();
    large.set_len(256 << 20).unwrap();
}

/// Aborts one download after its beginning and completes another one.
async fn abort_and_complete(gateway: &Gateway, receiver: &CallbackReceiver) -> Vec<Value> {
    place_large(gateway);
    gateway.place("small", "bytes");
    let fields = json!({"callback": receiver.url(), "max_hits": 5});
    let large = gateway.token("GET", "large").with(fields.clone()).await;
    let small = gateway.token("GET", "small").with(fields).await;
    let lines = "X-Request-Id: left\r\n";
    drop(raw::begin_download(gateway.port, &large, lines).await);
    until("the access line", async || {
        gateway.log().contains("\"left\"")
    })
    .await;
    assert_eq!(gateway.used_hits(&large).await, 1);
    assert_eq!(gateway.get(&small).await.status, 200);
    until("the complete download is reported", async || {
        receiver
            .received()
            .iter()
            .any(|event| event["outcome"] == "complete")
    })
    .await;
    receiver.received()
}

#[tokio::test]
async fn aborted_downloads_are_not_reported_by_default() {
    let (gateway, receiver) = (Gateway::start(), CallbackReceiver::start().await);
    let events = abort_and_complete(&gateway, &receiver).await;
    assert_eq!(events.len(), 1);
    assert_eq!(events[0]["key"], "small");
    // Nothing is left to be sent after an orderly restart.
    let gateway = gateway.stop().start();
    gateway.head("unknown").await;
    assert_eq!(receiver.events(1).await.len(), 1);
}

#[tokio::test]
async fn aborted_downloads_are_reported_with_report_incomplete() {
    let receiver = CallbackReceiver::start().await;
    let gateway = Gateway::with(json!({"callback": {"report_incomplete": true}}));
    abort_and_complete(&gateway, &receiver).await;
    let events = receiver.events(2).await;
    let left = events
        .iter()
        .find(|event| event["request_id"] == "left")
        .unwrap();
    assert_eq!(
        (&left["outcome"], &left["status"]),
        (&json!("aborted"), &json!(200))
    );
    let size = left["size"].as_u64().unwrap();
    assert!(size < 256 << 20, "{size}");
}
