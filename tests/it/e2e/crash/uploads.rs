//! Uploads with an event, two clients racing for the one hit of each token.

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use serde_json::{Value, json};

use super::scene::{Gateway, Scene, content, token, until};

/// One token for one upload, and what became of it.
pub(super) struct Uploaded {
    token: String,
    key: String,
    /// Seeds and lengths of the bodies that were sent.
    bodies: [(u64, usize); 2],
    /// The one that was acknowledged.
    acknowledged: Option<usize>,
}

/// Uploads until the process is gone. `number` is this task's own.
pub(super) async fn work(
    gateway: Gateway,
    callback: String,
    number: u64,
    progress: impl Fn(),
) -> Vec<Uploaded> {
    let mut uploads = Vec::new();
    for turn in 0.. {
        let Some(upload) = upload(&gateway, &callback, number, turn).await else {
            break;
        };
        let goes_on = upload.acknowledged.is_some();
        uploads.push(upload);
        if !goes_on {
            break;
        }
        progress();
    }
    uploads
}

async fn create(gateway: &Gateway, callback: &str, key: &str) -> Option<String> {
    let mut fields = token("PUT", "local", key, 1);
    fields["callback"] = json!(callback);
    let created = gateway.create(&fields).await.ok()?;
    Some(created["token"].as_str().unwrap().to_owned())
}

async fn upload(gateway: &Gateway, callback: &str, number: u64, turn: u64) -> Option<Uploaded> {
    let key = format!("up/{number}/{turn}.bin");
    let token = create(gateway, callback, &key).await?;
    let seed = (number << 32) + 2 * turn;
    // Small ones, and such that go to the disk in several writes.
    let length = [0, 1, 5_000, 70_000, 700_000][turn as usize % 5];
    let bodies = [(seed, length), (seed + 1, length + 1)];
    let [first, second] = bodies.map(|(seed, length)| gateway.put(&token, content(seed, length)));
    let (first, second) = tokio::join!(first, second);
    let mut acknowledged = None;
    for (index, answer) in [first, second].into_iter().enumerate() {
        let Ok(answer) = answer else {
            continue;
        };
        match answer.status().as_u16() {
            200 => {
                let earlier = acknowledged.replace(index);
                assert_eq!(earlier, None, "one hit, two uploads");
            }
            409 => {}
            other => panic!("{other}: {:?}", answer.text().await),
        }
    }
    Some(Uploaded {
        token,
        key,
        bodies,
        acknowledged,
    })
}

/// Sends half of an upload and nothing more, until the process is gone.
pub(super) async fn stall(gateway: Gateway, callback: String, number: u64) -> Vec<Uploaded> {
    let key = format!("stalled/{number}.bin");
    let Some(token) = create(&gateway, &callback, &key).await else {
        return Vec::new();
    };
    let half = stream::iter([Ok::<_, std::io::Error>(Bytes::from(content(
        number, 400_000,
    )))]);
    let body = reqwest::Body::wrap_stream(half.chain(stream::pending()));
    let answer = gateway.put(&token, body).await;
    assert!(answer.is_err(), "acknowledged without its end");
    vec![Uploaded {
        token,
        key,
        // Neither half is a body.
        bodies: [(0, 0), (0, 0)],
        acknowledged: None,
    }]
}

/// What was acknowledged is there, bit for bit, counted and reported; what was not is whole,
/// counted and reported, or left no trace and its hit.
pub(super) async fn check(scene: &Scene, gateway: &Gateway, uploads: &[Uploaded]) {
    for upload in uploads {
        let what = format!("the upload of {} is settled", upload.key);
        let visible = until(&what, async || {
            let stored = std::fs::read(scene.object(&upload.key)).ok();
            let used = gateway.used_hits(&upload.token).await;
            assert!(used <= 1);
            (u64::from(stored.is_some()) == used).then_some(stored)
        })
        .await;
        let about = |event: &Value| event["key"] == upload.key.as_str();
        let Some(stored) = visible else {
            assert_eq!(upload.acknowledged, None, "{} is lost", upload.key);
            assert!(scene.events(about).is_empty());
            continue;
        };
        let is = |index: usize| {
            let (seed, length) = upload.bodies[index];
            stored == content(seed, length)
        };
        match upload.acknowledged {
            Some(index) => assert!(is(index), "{} has other bytes", upload.key),
            None => assert!(is(0) || is(1), "{} has other bytes", upload.key),
        }
        let what = format!("the upload of {} is reported", upload.key);
        let reported = until(&what, async || {
            let events = scene.events(about);
            (!events.is_empty()).then_some(events)
        });
        assert_eq!(reported.await.len(), 1);
        let size = scene.events(|event| about(event) && event["size"] == stored.len());
        assert_eq!(size.len(), 1);
    }
}

/// The hits of uploads that were cut off can be used.
pub(super) async fn use_again(scene: &Scene, gateway: &Gateway, uploads: &[Uploaded]) {
    for upload in uploads {
        if gateway.used_hits(&upload.token).await == 0 {
            let answer = gateway.put(&upload.token, "again").await.unwrap();
            assert_eq!(answer.status(), 200, "{:?}", answer.text().await);
            let stored = std::fs::read(scene.object(&upload.key)).unwrap();
            assert_eq!(stored, b"again");
        }
    }
}
