//! Paused for longer than a lease while storage has the object and its answer is on the way.

use std::time::Duration;

use serde_json::json;

use super::{LEASE, content, events_about, start_over};
use crate::support::api::{answer, until};
use crate::support::callback_receiver::CallbackReceiver;
use crate::support::s3::{Pause, S3sServer};

const KEY: &str = "a.bin";

#[tokio::test]
async fn a_paused_upload_is_answered_with_what_was_stored_and_counted() {
    let (s3, receiver) = (S3sServer::start().await, CallbackReceiver::start().await);
    let gateway = start_over(&s3);
    let fields = json!({"bucket": "s3", "max_hits": 1, "callback": receiver.url()});
    let token = gateway.token("PUT", KEY).with(fields).await;
    let body = content(7, 10_000);

    s3.pause_at(Pause::BeforeAnswer);
    let put = gateway.object("PUT", &token).body(body.clone());
    let uploading = tokio::spawn(answer(put));
    s3.paused().await;
    gateway.signal("STOP");
    s3.pause_at(Pause::Never);
    s3.resume();
    tokio::time::sleep(LEASE + Duration::from_secs(2)).await;
    gateway.signal("CONT");

    let answer = uploading.await.unwrap();
    assert_eq!(answer.status, 200, "{answer:?}");
    let told = answer.json();
    assert_eq!(told["size"], 10_000);
    assert_ne!(told["etag"], "");
    assert!(s3.object(KEY) == Some(body));
    assert_eq!(gateway.used_hits(&token).await, 1);
    until("the upload is reported", async || {
        events_about(&receiver, KEY) > 0
    })
    .await;
    assert_eq!(events_about(&receiver, KEY), 1);
    assert_eq!(gateway.put(&token, "again").await.status, 409);
}
