//! A node's store moves to Redis and back at the command line, with tokens, hits, callbacks and open
//! uploads.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Output;

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::api::{Api, CONTROL, answer, now, until};
use crate::support::callback_receiver::CallbackReceiver;
use crate::support::fleet::seen;
use crate::support::gateway::{Gateway, Stopped, configure};
use crate::support::process::command;
use crate::support::redis::server::Server;
use crate::support::s3::{Pause, S3sServer};

/// Two parts, and a piece of the third.
const PARTS: usize = 17 * 1024 * 1024;

/// `asset-gateway store …` with the configuration in `folder`.
pub(super) fn store(folder: &Path, words: &[&str]) -> Output {
    let mut command = command();
    command.arg("store").args(words).current_dir(folder);
    command.arg("--config").arg(folder.join("config.yaml"));
    command.output().unwrap()
}

#[track_caller]
pub(super) fn succeeds(output: &Output) -> String {
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    said
}

#[track_caller]
pub(super) fn fails(output: &Output, code: i32, part: &str) {
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{said}");
    assert!(said.contains(part), "`{part}` is not in `{said}`");
}

/// The sorted lines between header and trailer.
pub(super) fn entries(archive: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(archive).unwrap();
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    lines.pop().unwrap();
    lines.remove(0);
    lines.sort();
    lines
}

struct Scene {
    redis: Server,
    s3: S3sServer,
    /// Answers 500 at first.
    failing: CallbackReceiver,
    /// Answers 410 at first.
    gone: CallbackReceiver,
    secrets: TempDir,
}

impl Scene {
    async fn new() -> Self {
        let secrets = tempfile::tempdir().unwrap();
        for (name, pepper) in [("pepper", "the-pepper-of-the-tests"), ("other", "another")] {
            std::fs::write(secrets.path().join(name), pepper).unwrap();
        }
        let (failing, gone) = (
            CallbackReceiver::start().await,
            CallbackReceiver::start().await,
        );
        failing.answer(500);
        gone.answer(410);
        Self {
            redis: Server::start(),
            s3: S3sServer::start().await,
            failing,
            gone,
            secrets,
        }
    }

    fn control(&self, pepper: &str) -> Value {
        let pepper = self.secrets.path().join(pepper);
        json!({"tokens": [CONTROL], "token_pepper_file": pepper})
    }

    fn start(&self) -> Gateway {
        let builder = Gateway::builder();
        let local = json!({"provider": "fs", "root": builder.folder().join("objects")});
        let sections = json!({
            "token_store": {"kind": "sled"},
            "redis": {"addr": self.redis.address()},
            "control": self.control("pepper"),
            "callback": {"retry_seconds": vec![1; 60]},
        });
        let s3 = self.s3.sections(json!({"local": local}));
        builder.with(sections).with(s3).start()
    }
}

/// Tokens that clients have.
struct Links {
    limited: String,
    complete: String,
    unlimited: String,
    expired: String,
    revoked: String,
    reported: String,
    given_up: String,
    parts: String,
    finalising: String,
}

async fn hand_out(node: &Api, scene: &Scene) -> Links {
    let token = async |method, key, fields: Value| node.token(method, key).with(fields).await;
    let links = Links {
        limited: token(
            "GET",
            "k",
            json!({"max_hits": 4, "tags": ["moved"], "metadata": {"a": "ü"}}),
        )
        .await,
        complete: token("GET", "k", json!({"max_hits": 2, "hit_on": "complete"})).await,
        unlimited: token("GET", "k", json!({"filename": "ü.txt"})).await,
        expired: token("GET", "k", json!({"expire_at": now(2)})).await,
        revoked: token("GET", "k", json!({"max_hits": 4})).await,
        reported: token(
            "GET",
            "k",
            json!({"max_hits": 3, "callback": scene.failing.url()}),
        )
        .await,
        given_up: token(
            "GET",
            "k",
            json!({"max_hits": 3, "callback": scene.gone.url()}),
        )
        .await,
        parts: token("PUT", "a.bin", json!({"bucket": "s3"})).await,
        finalising: token("PUT", "b.bin", json!({"bucket": "s3", "max_hits": 2})).await,
    };
    for (link, times) in [
        (&links.limited, 2),
        (&links.complete, 1),
        (&links.revoked, 1),
    ] {
        for _ in 0..times {
            assert_eq!(node.get(link).await.status, 200);
        }
    }
    for link in [&links.reported, &links.given_up] {
        assert_eq!(node.get(link).await.status, 200);
    }
    node.revoke(&links.revoked).await;
    until("the token expires", async || {
        node.get(&links.expired).await.status == 410
    })
    .await;
    links
}

async fn callbacks(node: &Api, state: &str) -> Vec<Value> {
    let listed = answer(node.control("GET", &format!("/callbacks?state={state}"))).await;
    listed.json()["callbacks"].as_array().unwrap().clone()
}

/// Kills the node while one upload has parts in storage, and another one is visible and not counted.
async fn killed_in_uploads(node: Gateway, scene: &Scene, links: &Links) -> Stopped {
    let sending = Bytes::from(vec![7; PARTS]);
    let beginning = stream::iter([Ok::<_, std::io::Error>(sending)]);
    let body = reqwest::Body::wrap_stream(beginning.chain(stream::pending()));
    let in_parts = tokio::spawn(seen(node.object("PUT", &links.parts).body(body)));
    until("a part is in storage", async || {
        scene
            .s3
            .open_uploads()
            .iter()
            .any(|name| name.contains(".part-"))
    })
    .await;
    scene.s3.pause_at(Pause::AfterExecution);
    let visible = tokio::spawn(seen(node.object("PUT", &links.finalising).body("visible")));
    scene.s3.paused().await;
    let stopped = node.kill();
    in_parts.await.unwrap();
    visible.await.unwrap();
    scene.s3.pause_at(Pause::Never);
    stopped
}

fn move_over(folder: &Path, from: &str, to: &str, archive: &str) -> PathBuf {
    succeeds(&store(folder, &["export", "--store", from, archive]));
    let said = succeeds(&store(folder, &["import", "--store", to, archive]));
    assert!(said.contains("compared: 8 tokens"), "{said}");
    folder.join(archive)
}

/// Checks the old tokens, with `used` hits of the limited one.
async fn old_links_work(node: &Api, links: &Links, used: u64) {
    assert_eq!(node.used_hits(&links.limited).await, used);
    assert_eq!(node.record(&links.limited).await["tags"], json!(["moved"]));
    assert_eq!(node.get(&links.limited).await.status, 200);
    assert_eq!(node.used_hits(&links.limited).await, used + 1);
    assert_eq!(node.get(&links.unlimited).await.body, "bytes");
    node.get(&links.expired)
        .await
        .assert_error(410, "token_expired");
    node.get(&links.revoked)
        .await
        .assert_error(404, "token_not_found");
}

/// The store is used in Redis before it moves back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_moves_to_redis_and_back() {
    let scene = Scene::new().await;
    let node = scene.start();
    node.place("k", "bytes");
    let folder = node.folder().to_owned();
    let links = hand_out(&node, &scene).await;
    until("one event is a dead letter, one is retried", async || {
        callbacks(&node, "dead").await.len() == 1 && scene.failing.attempts().len() >= 2
    })
    .await;
    let in_use = store(&folder, &["export", "early.jsonl"]);
    fails(&in_use, 1, "is in use by another process");
    assert!(!folder.join("early.jsonl").exists());

    let api = Api::clone(&node);
    let stopped = killed_in_uploads(node, &scene, &links).await;
    let event = scene.failing.attempts()[0].headers["webhook-id"].clone();
    scene.failing.answer(204);
    let tries = scene.failing.attempts().len();

    let archive = folder.join("there.jsonl");
    succeeds(&store(&folder, &["export", "there.jsonl"]));
    is_private_and_opens_nothing(&archive, &api);
    fails(
        &store(&folder, &["export", "there.jsonl"]),
        1,
        "exists already",
    );
    configure(&folder, json!({"control": scene.control("other")}));
    let other = store(&folder, &["import", "--store", "redis", "there.jsonl"]);
    fails(&other, 1, "another pepper");
    assert_eq!(scene.redis.cli(&["DBSIZE"]), "0\n");
    configure(&folder, json!({"control": scene.control("pepper")}));
    let said = succeeds(&store(
        &folder,
        &["import", "--store", "redis", "there.jsonl"],
    ));
    let expected = "8 tokens, 1 uploads left finalising, 1 open uploads in parts, 0 open downloads, \
                    1 pending and 1 dead callbacks";
    assert!(said.contains(expected), "{said}");
    succeeds(&store(
        &folder,
        &["export", "--store", "redis", "again.jsonl"],
    ));
    assert_eq!(entries(&archive), entries(&folder.join("again.jsonl")));

    configure(&folder, json!({"token_store": {"kind": "redis"}}));
    let node = stopped.start();
    old_links_work(&node, &links, 2).await;
    fails(
        &store(&folder, &["export", "live.jsonl"]),
        1,
        "stop all of them",
    );
    assert_eq!(node.get(&links.complete).await.status, 200);
    until("the hit is counted", async || {
        node.used_hits(&links.complete).await == 2
    })
    .await;
    node.get(&links.complete)
        .await
        .assert_error(409, "hits_exceeded");
    // The pending event is delivered once more under its id.
    until("the event is delivered", async || {
        callbacks(&node, "pending").await.is_empty()
    })
    .await;
    let arrived = scene.failing.all(tries + 1).await;
    assert!(arrived.iter().all(|one| one.headers["webhook-id"] == event));
    let dead = callbacks(&node, "dead").await;
    assert_eq!((dead.len(), &dead[0]["attempts"]), (1, &json!(1)));
    // The visible upload is counted, the multipart upload is aborted.
    until("the upload is recovered", async || {
        node.used_hits(&links.finalising).await == 1
    })
    .await;
    until("the upload is aborted", async || {
        scene.s3.open_uploads().is_empty()
    })
    .await;
    assert_eq!(node.put(&links.parts, "whole").await.status, 200);

    let stopped = node.stop();
    configure(&folder, json!({"sled": {"path": folder.join("tokens-2")}}));
    let back = move_over(&folder, "redis", "sled", "back.jsonl");
    configure(&folder, json!({"token_store": {"kind": "sled"}}));
    assert!(
        entries(&back)
            .iter()
            .all(|line| !line.contains("\"finalising\":{"))
    );
    let node = stopped.start();
    old_links_work(&node, &links, 3).await;
    node.get(&links.limited)
        .await
        .assert_error(409, "hits_exceeded");
    node.get(&links.complete)
        .await
        .assert_error(409, "hits_exceeded");
    assert_eq!(scene.failing.attempts().len(), tries + 1);
    replayed_under_its_name(&node, &scene).await;
}

async fn replayed_under_its_name(node: &Gateway, scene: &Scene) {
    scene.gone.answer(204);
    let dead = callbacks(node, "dead").await;
    let id = dead[0]["id"].as_str().unwrap();
    let replay = node.control("POST", &format!("/callbacks/{id}/replay"));
    assert_eq!(answer(replay).await.status, 200);
    let tries = scene.gone.all(2).await;
    let ids: BTreeMap<_, usize> = tries.iter().fold(BTreeMap::new(), |mut ids, one| {
        *ids.entry(one.headers["webhook-id"].to_str().unwrap())
            .or_default() += 1;
        ids
    });
    assert_eq!(ids, BTreeMap::from([(id, 2)]));
}

fn is_private_and_opens_nothing(archive: &Path, api: &Api) {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = archive.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    let text = std::fs::read_to_string(archive).unwrap();
    for token in api.handed_out.lock().iter() {
        assert!(!text.contains(token), "the archive holds a token");
    }
    assert!(!text.contains("the-pepper-of-the-tests"));
}
