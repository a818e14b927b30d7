//! A process that was paused for longer than a lease: the clock ends what it had reserved, before any
//! of its tasks runs.

use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use asset_gateway_backends::clock::{Clock, SystemClock, TestClock};
use serde_json::json;
use tokio::io::AsyncReadExt;

use crate::support::api::{Answer, until};
use crate::support::faulty_backend::FaultyBackend;
use crate::support::faulty_store::Gate;
use crate::support::in_process::InProcess;
use crate::support::raw;

/// Longer than a lease.
const PAUSED: Duration = Duration::from_secs(77);
/// More than socket buffers take.
const LARGE: usize = 16 << 20;

async fn start() -> (InProcess, FaultyBackend, TestClock) {
    let clock = TestClock::at(SystemClock.now_ms());
    let bucket = FaultyBackend::default();
    let gateway = InProcess::start(Arc::new(clock.clone()), bucket.clone(), |store| store);
    (gateway.await, bucket, clock)
}

async fn stored(gateway: &InProcess, key: &str) -> Answer {
    let token = gateway.token("GET", key).await;
    gateway.get(&token).await
}

/// Sends an upload until it waits at `gate`.
async fn wait_at(
    gateway: &InProcess,
    gate: &Gate,
    token: &str,
    body: &'static str,
) -> tokio::task::JoinHandle<Answer> {
    gate.shut();
    let (api, token) = (gateway.api(), token.to_owned());
    let uploading = tokio::spawn(async move { api.put(&token, body).await });
    until("the upload waits", async || gate.stopped() == 1).await;
    uploading
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_download_is_cut_off_before_its_last_byte_when_its_lease_lapsed() {
    let (gateway, _, clock) = start().await;
    gateway
        .store("large", "text/plain", vec![7_u8; LARGE])
        .await;
    let fields = json!({"max_hits": 1, "hit_on": "complete"});
    let token = gateway.token("GET", "large").with(fields).await;
    let mut first = raw::begin_download(gateway.port(), &token, "").await;
    clock.advance(PAUSED);
    // The hit of the lapsed lease is free for another request.
    let second = gateway.get(&token).await;
    assert_eq!((second.status, second.body.len()), (200, LARGE));

    let mut got = Vec::new();
    // A reset ends the download, too.
    let _ = first.read_to_end(&mut got).await;
    assert!(got.len() < LARGE, "delivered twice on one hit");
    until("the hit is counted", async || {
        gateway.used_hits(&token).await == 1
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stored_upload_is_counted_and_acknowledged_after_its_lease_lapsed() {
    let (gateway, bucket, clock) = start().await;
    let token = gateway.token("PUT", "k").await;
    let uploading = wait_at(&gateway, &bucket.after_finish, &token, "an upload").await;
    clock.advance(PAUSED);
    bucket.after_finish.open();
    gateway.sweep();

    let answer = uploading.await.unwrap();
    assert_eq!(answer.status, 200, "{answer:?}");
    let object = stored(&gateway, "k").await;
    assert_eq!(object.body, "an upload");
    assert_eq!(answer.header("etag"), object.header("etag"));
    assert_eq!(answer.json()["size"], 9);
    assert_eq!(gateway.used_hits(&token).await, 1);
    gateway
        .put(&token, "x")
        .await
        .assert_error(409, "hits_exceeded");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upload_never_becomes_visible_after_its_lease_lapsed() {
    let (gateway, bucket, clock) = start().await;
    let token = gateway.token("PUT", "k").await;
    let uploading = wait_at(&gateway, &bucket.before_finish, &token, "the first").await;
    clock.advance(PAUSED);
    gateway.sweep();
    bucket.before_finish.open();
    let answer = uploading.await.unwrap();
    answer.assert_error(503, "unavailable");
    stored(&gateway, "k")
        .await
        .assert_error(404, "object_not_found");
    assert_eq!(gateway.used_hits(&token).await, 0);

    // The hit is free, and can be used once.
    until("the hit is free", async || {
        gateway.put(&token, "the second").await.status == 200
    })
    .await;
    assert_eq!(stored(&gateway, "k").await.body, "the second");
    assert_eq!(gateway.used_hits(&token).await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upload_of_a_revoked_token_is_answered_as_stored_and_not_counted() {
    let (gateway, bucket, _) = start().await;
    let token = gateway.token("PUT", "k").await;
    let uploading = wait_at(&gateway, &bucket.after_finish, &token, "an upload").await;
    gateway.revoke(&token).await;
    bucket.after_finish.open();
    let answer = uploading.await.unwrap();
    // The object could not be prevented any more, so the answer mentions it.
    answer
        .assert_error(404, "token_not_found")
        .says("is stored");
    assert_eq!(stored(&gateway, "k").await.body, "an upload");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upload_that_is_still_received_is_refused_after_its_lease_lapsed() {
    let (gateway, bucket, clock) = start().await;
    let token = gateway.token("PUT", "k").await;
    let mut stream = raw::begin_upload(gateway.port(), &token, 10, b"01234").await;
    until("the upload has begun", async || {
        bucket.uploads.load(SeqCst) == 1
    })
    .await;
    clock.advance(PAUSED);
    tokio::io::AsyncWriteExt::write_all(&mut stream, b"56789")
        .await
        .unwrap();
    let answer = raw::read_to_end(&mut stream).await;
    answer.assert_error(503, "unavailable");
    stored(&gateway, "k")
        .await
        .assert_error(404, "object_not_found");
}

/// Storage makes the object visible after its hit was used by another upload: the object is counted with
/// another hit, or the answer says that it is stored and not counted.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_late_visible_upload_is_counted_or_answered_as_stored() {
    for another in [true, false] {
        let (gateway, bucket, clock) = start().await;
        bucket.ignores_fences.store(true, SeqCst);
        let token = gateway.token("PUT", "k").await;
        let uploading = wait_at(&gateway, &bucket.before_finish, &token, "late").await;
        clock.advance(PAUSED);
        gateway.sweep();
        until("the hit is free", async || {
            gateway.put(&token, "in between").await.status == 200
        })
        .await;
        if another {
            let more = gateway.patch(&token, json!({"max_hits": 2})).await;
            assert_eq!(more.status, 200);
        }
        bucket.before_finish.open();
        let told = uploading.await.unwrap();
        assert_eq!(stored(&gateway, "k").await.body, "late");
        if another {
            assert_eq!(told.status, 200, "{told:?}");
        } else {
            told.assert_error(409, "hits_exceeded").says("is stored");
        }
        assert_eq!(gateway.used_hits(&token).await, 1 + u64::from(another));
    }
}
