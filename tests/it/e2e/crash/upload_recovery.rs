//! Killed between the intent of an upload and its commit: the object itself decides.

use serde_json::json;

use super::{content, events_about, start_over};
use crate::support::api::{Api, try_answer, until};
use crate::support::callback_receiver::CallbackReceiver;
use crate::support::gateway::Gateway;
use crate::support::s3::{Pause, S3sServer};

const KEY: &str = "a.bin";
/// One request.
const SMALL: usize = 10_000;
/// Two parts and a completion.
const LARGE: usize = 9 * 1024 * 1024;

/// An upload whose gateway was killed while storage paused its last request.
struct Killed {
    s3: S3sServer,
    receiver: CallbackReceiver,
    token: String,
    body: Vec<u8>,
    /// After the restart.
    gateway: Gateway,
}

async fn kill_at(pause: Pause, length: usize) -> Killed {
    let (s3, receiver) = (S3sServer::start().await, CallbackReceiver::start().await);
    let gateway = start_over(&s3);
    let fields = json!({"bucket": "s3", "max_hits": 1, "callback": receiver.url()});
    let token = gateway.token("PUT", KEY).with(fields).await;
    let body = content(7, length);

    s3.pause_at(pause);
    let put = Api::clone(&gateway)
        .object("PUT", &token)
        .body(body.clone());
    let uploading = tokio::spawn(try_answer(put));
    s3.paused().await;
    let used = gateway.used_hits(&token).await;
    assert_eq!(used, 0, "counted before it is visible");
    let stopped = gateway.kill();
    assert!(uploading.await.unwrap().is_err(), "somebody was answered");
    assert_eq!(events_about(&receiver, KEY), 0);

    s3.pause_at(Pause::Never);
    s3.take_requests();
    Killed {
        s3,
        receiver,
        token,
        body,
        gateway: stopped.start(),
    }
}

impl Killed {
    async fn until_counted(&self) {
        until("the upload is counted", async || {
            self.gateway.used_hits(&self.token).await == 1
        })
        .await;
    }

    /// One object, one hit, one event.
    async fn assert_counted_and_reported(&self, stored: &[u8]) {
        assert!(self.s3.object(KEY).as_deref() == Some(stored));
        assert_eq!(self.gateway.used_hits(&self.token).await, 1);
        until("the upload is reported", async || {
            events_about(&self.receiver, KEY) > 0
        })
        .await;
        let sizes = self.receiver.ids(|event| {
            event["method"] == "PUT" && event["key"] == KEY && event["size"] == stored.len()
        });
        assert_eq!((sizes.len(), events_about(&self.receiver, KEY)), (1, 1));
        let again = self.gateway.put(&self.token, "again").await;
        assert_eq!(again.status, 409);
    }
}

async fn assert_visible_upload_is_counted(length: usize) {
    let killed = kill_at(Pause::AfterExecution, length).await;
    killed.until_counted().await;
    killed.assert_counted_and_reported(&killed.body).await;
}

async fn assert_missing_upload_frees_its_hit(length: usize) {
    let killed = kill_at(Pause::BeforeExecution, length).await;
    until("the hit is free", async || {
        let answer = killed.gateway.put(&killed.token, "again").await;
        match answer.status {
            200 => true,
            409 => {
                assert_eq!(killed.s3.object(KEY), None);
                false
            }
            _ => panic!("{answer:?}"),
        }
    })
    .await;
    killed.assert_counted_and_reported(b"again").await;
}

/// Remote storage may execute a request whose sender is gone: the hit is not freed before that is over.
#[tokio::test]
async fn an_upload_that_becomes_visible_after_the_restart_is_counted_and_reported() {
    let killed = kill_at(Pause::LateExecution, SMALL).await;
    until("the new process asks storage", async || {
        killed.s3.was_looked_at()
    })
    .await;
    let again = killed.gateway.put(&killed.token, "again").await;
    assert_eq!(again.status, 409, "the hit is free");
    assert_eq!(killed.s3.object(KEY), None);
    killed.s3.resume();
    killed.until_counted().await;
    killed.assert_counted_and_reported(&killed.body).await;
}

#[tokio::test]
async fn a_small_upload_that_became_visible_is_counted_and_reported() {
    assert_visible_upload_is_counted(SMALL).await;
}

#[tokio::test]
async fn a_multipart_upload_that_became_visible_is_counted_and_reported() {
    assert_visible_upload_is_counted(LARGE).await;
}

#[tokio::test]
async fn a_small_upload_that_did_not_become_visible_frees_its_hit() {
    assert_missing_upload_frees_its_hit(SMALL).await;
}

#[tokio::test]
async fn a_multipart_upload_that_did_not_become_visible_frees_its_hit() {
    assert_missing_upload_frees_its_hit(LARGE).await;
}
