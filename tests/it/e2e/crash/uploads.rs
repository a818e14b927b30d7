//! Uploads with a callback, two clients racing for the one hit of each token.

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use serde_json::{Value, json};

use super::{content, token};
use crate::support::api::{Api, try_answer, until};
use crate::support::callback_receiver::CallbackReceiver;
use crate::support::gateway::Gateway;

/// One token for one upload, and what became of it.
pub(super) struct Uploaded {
    token: String,
    key: String,
    /// Seeds and lengths of the bodies that were sent.
    bodies: [(u64, usize); 2],
    /// The index of the acknowledged body.
    acknowledged: Option<usize>,
}

/// Uploads until the process is gone. `number` is this task's own.
pub(super) async fn work(
    gateway: Api,
    callback: String,
    number: u64,
    progress: impl Fn(),
) -> Vec<Uploaded> {
    let mut uploads = Vec::new();
    for step in 0.. {
        let Some(upload) = upload(&gateway, &callback, number, step).await else {
            break;
        };
        let was_acknowledged = upload.acknowledged.is_some();
        uploads.push(upload);
        if !was_acknowledged {
            break;
        }
        progress();
    }
    uploads
}

async fn create(gateway: &Api, callback: &str, key: &str) -> Option<String> {
    let mut fields = token("PUT", key, 1);
    fields["callback"] = json!(callback);
    let created = try_answer(gateway.control("POST", "/token").json(&fields)).await;
    let created = created.ok()?;
    assert_eq!(created.status, 201, "{created:?}");
    Some(created.json()["token"].as_str().unwrap().to_owned())
}

async fn upload(gateway: &Api, callback: &str, number: u64, step: u64) -> Option<Uploaded> {
    let key = format!("up/{number}/{step}.bin");
    let token = create(gateway, callback, &key).await?;
    let seed = (number << 32) + 2 * step;
    // Lengths of one write to the disk and of several.
    let length = [0, 1, 5_000, 70_000, 700_000][step as usize % 5];
    let bodies = [(seed, length), (seed + 1, length + 1)];
    let [first, second] = bodies.map(|(seed, length)| {
        try_answer(gateway.object("PUT", &token).body(content(seed, length)))
    });
    let (first, second) = tokio::join!(first, second);
    let mut acknowledged = None;
    for (index, answer) in [first, second].into_iter().enumerate() {
        let Ok(answer) = answer else {
            continue;
        };
        match answer.status {
            200 => {
                let earlier = acknowledged.replace(index);
                assert_eq!(earlier, None, "one hit, two uploads");
            }
            409 => {}
            _ => panic!("{answer:?}"),
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
pub(super) async fn stall(gateway: Api, callback: String, number: u64) -> Vec<Uploaded> {
    let key = format!("stalled/{number}.bin");
    let Some(token) = create(&gateway, &callback, &key).await else {
        return Vec::new();
    };
    let half = stream::iter([Ok::<_, std::io::Error>(Bytes::from(content(
        number, 400_000,
    )))]);
    let body = reqwest::Body::wrap_stream(half.chain(stream::pending()));
    let answer = try_answer(gateway.object("PUT", &token).body(body)).await;
    assert!(answer.is_err(), "acknowledged without its end");
    vec![Uploaded {
        token,
        key,
        // Neither half is a body.
        bodies: [(0, 0), (0, 0)],
        acknowledged: None,
    }]
}

/// An acknowledged upload is stored bit for bit, counted and reported. Any other is complete, counted and
/// reported, or left neither an object nor a used hit.
pub(super) async fn check(gateway: &Gateway, receiver: &CallbackReceiver, uploads: &[Uploaded]) {
    for upload in uploads {
        let what = format!("the upload of {} is recovered", upload.key);
        let mut stored = None;
        until(&what, async || {
            stored = gateway.stored(&upload.key);
            let used = gateway.used_hits(&upload.token).await;
            assert!(used <= 1);
            u64::from(stored.is_some()) == used
        })
        .await;
        let about = |event: &Value| event["key"] == upload.key.as_str();
        let Some(stored) = stored else {
            assert_eq!(upload.acknowledged, None, "{} is lost", upload.key);
            assert!(receiver.ids(about).is_empty());
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
        until(&what, async || !receiver.ids(about).is_empty()).await;
        assert_eq!(receiver.ids(about).len(), 1);
        let size = receiver.ids(|event| about(event) && event["size"] == stored.len());
        assert_eq!(size.len(), 1);
    }
}

/// The hits of uploads that were cut off can be used.
pub(super) async fn use_again(gateway: &Gateway, uploads: &[Uploaded]) {
    for upload in uploads {
        if gateway.used_hits(&upload.token).await == 0 {
            let answer = gateway.put(&upload.token, "again").await;
            assert_eq!(answer.status, 200, "{answer:?}");
            assert_eq!(gateway.stored(&upload.key).unwrap(), b"again");
        }
    }
}
