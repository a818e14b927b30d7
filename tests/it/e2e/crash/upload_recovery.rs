//! Killed between "about to become visible" and the commit: the object itself tells.

use serde_json::{Value, json};
use tokio::time::timeout;

use super::scene::{Gateway, PATIENCE, Scene, content, token, until};
use crate::support::pausing_s3::{Pause, PausingS3};

const KEY: &str = "a.bin";
/// One request.
const SMALL: usize = 10_000;
/// Two parts and a completion.
const LARGE: usize = 9 * 1024 * 1024;

/// An upload whose gateway was killed while storage held its last request.
struct Killed {
    s3: PausingS3,
    scene: Scene,
    token: String,
    body: Vec<u8>,
    /// The next life.
    gateway: Gateway,
    _process: super::victim::Victim,
}

async fn kill_while(hold: Pause, length: usize) -> Killed {
    let mut s3 = PausingS3::start().await;
    let scene = Scene::new(&s3.bucket()).await;
    let (process, gateway) = scene.start().await;
    let mut fields = token("PUT", "s3", KEY, 1);
    fields["callback"] = json!(scene.callback_url());
    let created = gateway.create(&fields).await.unwrap();
    let token = created["token"].as_str().unwrap().to_owned();
    let body = content(7, length);

    s3.set(hold);
    let (uploader, sent) = (gateway.clone(), body.clone());
    let secret = token.clone();
    let uploading = tokio::spawn(async move { uploader.put(&secret, sent).await });
    timeout(PATIENCE, s3.holds())
        .await
        .expect("storage is asked");
    assert_eq!(
        gateway.used_hits(&token).await,
        0,
        "not counted before it is visible"
    );
    process.kill();
    assert!(
        uploading.await.unwrap().is_err(),
        "nobody was told anything"
    );
    assert!(scene.events(about).is_empty());

    s3.set(Pause::Nothing);
    let (process, gateway) = scene.start().await;
    Killed {
        s3,
        scene,
        token,
        body,
        gateway,
        _process: process,
    }
}

fn about(event: &Value) -> bool {
    event["key"] == KEY && event["method"] == "PUT"
}

impl Killed {
    /// One object, one hit, one event.
    async fn is_counted_and_reported(&self, stored: &[u8]) {
        assert!(self.s3.object(KEY).as_deref() == Some(stored));
        assert_eq!(self.gateway.used_hits(&self.token).await, 1);
        until("the upload is reported", async || {
            (!self.scene.events(about).is_empty()).then_some(())
        })
        .await;
        let as_stored = |event: &Value| about(event) && event["size"] == stored.len();
        assert_eq!(self.scene.events(as_stored).len(), 1);
        assert_eq!(self.scene.events(about).len(), 1);
        let again = self.gateway.put(&self.token, "again").await.unwrap();
        assert_eq!(again.status(), 409);
    }
}

async fn visible(length: usize) {
    let killed = kill_while(Pause::After, length).await;
    until("the upload is counted", async || {
        (killed.gateway.used_hits(&killed.token).await == 1).then_some(())
    })
    .await;
    killed.is_counted_and_reported(&killed.body).await;
}

async fn not_visible(length: usize) {
    let killed = kill_while(Pause::Before, length).await;
    let hit_is_back = async || {
        let answer = killed.gateway.put(&killed.token, "again").await.unwrap();
        match answer.status().as_u16() {
            200 => Some(()),
            409 => {
                assert_eq!(killed.s3.object(KEY), None);
                None
            }
            other => panic!("{other}: {:?}", answer.text().await),
        }
    };
    until("the hit is given back", hit_is_back).await;
    killed.is_counted_and_reported(b"again").await;
}

/// Remote storage may do what it was asked for when nobody waits for it any more: the hit is not
/// freed before that is over.
#[tokio::test]
async fn an_upload_that_becomes_visible_after_the_restart_is_counted_and_reported() {
    let killed = kill_while(Pause::Late, SMALL).await;
    until("the next life has looked", async || {
        (killed.s3.looks() > 0).then_some(())
    })
    .await;
    let again = killed.gateway.put(&killed.token, "again").await.unwrap();
    assert_eq!(again.status(), 409, "the hit is held");
    assert_eq!(killed.s3.object(KEY), None);
    killed.s3.go_on();
    until("the upload is counted", async || {
        (killed.gateway.used_hits(&killed.token).await == 1).then_some(())
    })
    .await;
    killed.is_counted_and_reported(&killed.body).await;
}

#[tokio::test]
async fn a_small_upload_that_became_visible_is_counted_and_reported() {
    visible(SMALL).await;
}

#[tokio::test]
async fn an_upload_in_parts_that_became_visible_is_counted_and_reported() {
    visible(LARGE).await;
}

#[tokio::test]
async fn a_small_upload_that_did_not_become_visible_gives_its_hit_back() {
    not_visible(SMALL).await;
}

#[tokio::test]
async fn an_upload_in_parts_that_did_not_become_visible_gives_its_hit_back() {
    not_visible(LARGE).await;
}
