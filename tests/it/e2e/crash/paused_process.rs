//! Stopped for longer than a lease while storage has the object and its answer is on the way.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::timeout;

use super::scene::{PATIENCE, Scene, content, token, until};
use crate::support::pausing_s3::{Pause, PausingS3};

const KEY: &str = "a.bin";
/// A lease's length and more.
const STOPPED: Duration = Duration::from_secs(68);

#[tokio::test]
async fn the_answer_says_what_was_stored_and_counted() {
    let mut s3 = PausingS3::start().await;
    let scene = Scene::new(&s3.bucket()).await;
    let (process, gateway) = scene.start().await;
    let mut fields = token("PUT", "s3", KEY, 1);
    fields["callback"] = json!(scene.callback_url());
    let created = gateway.create(&fields).await.unwrap();
    let token = created["token"].as_str().unwrap().to_owned();
    let body = content(7, 10_000);

    s3.set(Pause::Answer);
    let (uploader, secret, sent) = (gateway.clone(), token.clone(), body.clone());
    let uploading = tokio::spawn(async move { uploader.put(&secret, sent).await });
    let held = timeout(PATIENCE, s3.holds()).await;
    held.expect("storage is asked");
    process.signal("STOP");
    s3.set(Pause::Nothing);
    s3.go_on();
    tokio::time::sleep(STOPPED).await;
    process.signal("CONT");

    let answer = uploading.await.unwrap().expect("an answer");
    let (status, text) = (answer.status(), answer.text().await.unwrap());
    assert_eq!(status, 200, "{text}");
    let told: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(told["size"], 10_000);
    assert_ne!(told["etag"], "");
    assert!(s3.object(KEY) == Some(body));
    assert_eq!(gateway.used_hits(&token).await, 1);
    let about = |event: &Value| event["key"] == KEY;
    until("the upload is reported", async || {
        (!scene.events(about).is_empty()).then_some(())
    })
    .await;
    assert_eq!(scene.events(about).len(), 1);
    let again = gateway.put(&token, "again").await.unwrap();
    assert_eq!(again.status(), 409);
}
