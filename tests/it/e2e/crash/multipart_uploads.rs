//! Killed in a multipart upload: its parts in storage are aborted by the upload's name.

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use tokio::task::JoinHandle;

use super::{content, start_over};
use crate::support::api::{try_answer, until};
use crate::support::gateway::{Gateway, Stopped};
use crate::support::s3::{Pause, S3sServer};

const KEY: &str = "a.bin";
/// Two parts, and a piece of the third.
const SENT: usize = 17 * 1024 * 1024;

async fn token(gateway: &Gateway) -> String {
    gateway
        .token("PUT", KEY)
        .set("bucket", "s3")
        .max_hits(1)
        .await
}

/// Sends parts of an upload of unknown length, and its end only if `complete`, until the process is gone.
fn begin_upload(gateway: &Gateway, token: &str, complete: bool) -> JoinHandle<()> {
    let bytes = stream::iter([Ok::<_, std::io::Error>(Bytes::from(content(3, SENT)))]);
    let body = match complete {
        true => reqwest::Body::wrap_stream(bytes),
        false => reqwest::Body::wrap_stream(bytes.chain(stream::pending())),
    };
    let uploading = try_answer(gateway.object("PUT", token).body(body));
    tokio::spawn(async move {
        let answer = uploading.await;
        assert!(
            answer.is_err(),
            "acknowledged before it was visible: {answer:?}"
        );
    })
}

async fn until_no_upload_is_open(s3: &S3sServer) {
    until("no upload is open in storage", async || {
        s3.open_uploads().is_empty()
    })
    .await;
}

/// Kills a gateway while an upload has parts in storage, after `before`; returns the upload's token.
async fn kill_between_parts(
    s3: &S3sServer,
    before: impl AsyncFnOnce(&Gateway, &str),
) -> (Stopped, String) {
    let gateway = start_over(s3);
    let token = token(&gateway).await;
    let uploading = begin_upload(&gateway, &token, false);
    until("a part is in storage", async || {
        let open = s3.open_uploads();
        open.iter().any(|name| name.contains(".part-"))
    })
    .await;
    before(&gateway, &token).await;
    let stopped = gateway.kill();
    uploading.await.unwrap();
    (stopped, token)
}

#[tokio::test]
async fn an_unfinished_upload_is_aborted_after_the_restart_and_its_hit_is_free_at_once() {
    let s3 = S3sServer::start().await;
    let (stopped, token) = kill_between_parts(&s3, async |_, _| {}).await;
    assert!(!s3.open_uploads().is_empty(), "nobody was left to abort it");

    let gateway = stopped.start();
    let again = gateway.put(&token, "again").await;
    assert_eq!(again.status, 200, "{again:?}");
    until_no_upload_is_open(&s3).await;
    assert_eq!(s3.object(KEY).as_deref(), Some(&b"again"[..]));
    assert_eq!(gateway.used_hits(&token).await, 1);
}

#[tokio::test]
async fn an_unfinished_upload_of_a_revoked_token_is_aborted() {
    let s3 = S3sServer::start().await;
    let (stopped, _) = kill_between_parts(&s3, async |gateway, token| {
        gateway.revoke(token).await;
    })
    .await;

    let _gateway = stopped.start();
    until_no_upload_is_open(&s3).await;
    assert_eq!(s3.object(KEY), None);
}

/// Storage has all parts and was asked to complete the upload: recovery has to find out first that it did not.
#[tokio::test]
async fn an_upload_that_was_being_completed_is_aborted_after_its_recovery() {
    let s3 = S3sServer::start().await;
    let gateway = start_over(&s3);
    let token = token(&gateway).await;
    s3.pause_at(Pause::BeforeExecution);
    let uploading = begin_upload(&gateway, &token, true);
    s3.paused().await;
    let stopped = gateway.kill();
    uploading.await.unwrap();
    s3.pause_at(Pause::Never);
    s3.take_requests();

    let gateway = stopped.start();
    until("the new process asks storage", async || s3.was_looked_at()).await;
    assert!(!s3.open_uploads().is_empty(), "it may yet become visible");
    until_no_upload_is_open(&s3).await;
    assert_eq!(s3.object(KEY), None);
    // Recovery looks once more after the abort, and only then releases the hit.
    until("the hit is free", async || {
        gateway.put(&token, "again").await.status == 200
    })
    .await;
}
