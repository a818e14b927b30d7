//! Killed in the middle of an upload in parts: what storage has of it is aborted by its name.

use bytes::Bytes;
use futures_util::{StreamExt, stream};

use tokio::time::timeout;

use super::scene::{Gateway, PATIENCE, Scene, content, token, until};
use crate::support::pausing_s3::{Pause, PausingS3};

const KEY: &str = "a.bin";
/// Two parts, and a piece of the third.
const SENT: usize = 17 * 1024 * 1024;

async fn token_for_one(gateway: &Gateway) -> String {
    let created = gateway.create(&token("PUT", "s3", KEY, 1)).await.unwrap();
    created["token"].as_str().unwrap().to_owned()
}

/// Sends parts of an upload of unknown length, and not its end, until the process is gone.
fn stall(gateway: &Gateway, token: &str) -> tokio::task::JoinHandle<()> {
    let (gateway, token) = (gateway.clone(), token.to_owned());
    tokio::spawn(async move {
        let bytes = Bytes::from(content(3, SENT));
        let beginning = stream::iter([Ok::<_, std::io::Error>(bytes)]);
        let body = reqwest::Body::wrap_stream(beginning.chain(stream::pending()));
        let answer = gateway.put(&token, body).await;
        assert!(answer.is_err(), "acknowledged without its end");
    })
}

async fn until_parts_are_there(s3: &PausingS3) {
    until("a part is in storage", async || {
        let open = s3.open_uploads();
        open.iter()
            .any(|name| name.contains(".part-"))
            .then_some(())
    })
    .await;
}

async fn until_nothing_is_left(s3: &PausingS3) {
    until("no upload is open in storage", async || {
        s3.open_uploads().is_empty().then_some(())
    })
    .await;
}

/// Kills a gateway while an upload has parts in storage, after `before`; the upload's token.
async fn killed_between_parts(
    s3: &PausingS3,
    scene: &Scene,
    before: impl AsyncFnOnce(&Gateway, &str),
) -> String {
    let (process, gateway) = scene.start().await;
    let secret = token_for_one(&gateway).await;
    let uploading = stall(&gateway, &secret);
    until_parts_are_there(s3).await;
    before(&gateway, &secret).await;
    process.kill();
    uploading.await.unwrap();
    secret
}

#[tokio::test]
async fn it_is_aborted_soon_after_the_start_and_its_hit_is_free_at_once() {
    let s3 = PausingS3::start().await;
    let scene = Scene::new(&s3.bucket()).await;
    let secret = killed_between_parts(&s3, &scene, async |_, _| {}).await;
    assert!(!s3.open_uploads().is_empty(), "nobody was left to abort it");

    let (_process, gateway) = scene.start().await;
    let again = gateway.put(&secret, "again").await.unwrap();
    assert_eq!(again.status(), 200, "{:?}", again.text().await);
    until_nothing_is_left(&s3).await;
    assert_eq!(s3.object(KEY).as_deref(), Some(&b"again"[..]));
    assert_eq!(gateway.used_hits(&secret).await, 1);
}

#[tokio::test]
async fn it_is_aborted_though_its_token_is_revoked() {
    let s3 = PausingS3::start().await;
    let scene = Scene::new(&s3.bucket()).await;
    killed_between_parts(&s3, &scene, async |gateway, secret| {
        gateway.revoke(secret).await.unwrap();
    })
    .await;

    let (_process, _gateway) = scene.start().await;
    until_nothing_is_left(&s3).await;
    assert_eq!(s3.object(KEY), None);
}

/// Storage has all parts and was asked to put them together: first it has to be known that it did
/// not.
#[tokio::test]
async fn one_that_was_becoming_visible_is_aborted_once_it_is_settled() {
    let mut s3 = PausingS3::start().await;
    let scene = Scene::new(&s3.bucket()).await;
    let (process, gateway) = scene.start().await;
    let secret = token_for_one(&gateway).await;
    s3.set(Pause::Before);
    let (uploader, to) = (gateway.clone(), secret.clone());
    let uploading = tokio::spawn(async move {
        let whole = stream::iter([Ok::<_, std::io::Error>(Bytes::from(content(3, SENT)))]);
        let answer = uploader.put(&to, reqwest::Body::wrap_stream(whole)).await;
        assert!(answer.is_err(), "acknowledged before it was visible");
    });
    let held = timeout(PATIENCE, s3.holds()).await;
    held.expect("storage is asked to complete it");
    process.kill();
    uploading.await.unwrap();
    s3.set(Pause::Nothing);

    let (_process, gateway) = scene.start().await;
    until("the next life has looked", async || {
        (s3.looks() > 0).then_some(())
    })
    .await;
    assert!(!s3.open_uploads().is_empty(), "it may yet become visible");
    until_nothing_is_left(&s3).await;
    assert_eq!(s3.object(KEY), None);
    let again = gateway.put(&secret, "again").await.unwrap();
    assert_eq!(again.status(), 200, "{:?}", again.text().await);
}
