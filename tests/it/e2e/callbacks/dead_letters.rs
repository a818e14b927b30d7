//! Pending callbacks and dead letters: listed and replayed, over HTTP and from the command line.

use serde_json::{Value, json};

use crate::support::api::{Api, CONTROL, answer, until};
use crate::support::callback_receiver::CallbackReceiver;
use crate::support::gateway::Gateway;
use crate::support::process::{Process, command};

/// Gives an event up after two attempts.
fn start() -> Gateway {
    Gateway::with(json!({"callback": {"retry_seconds": [1]}}))
}

async fn list(gateway: &Api, parameters: &str) -> Value {
    let listed = answer(gateway.control("GET", &format!("/callbacks?{parameters}"))).await;
    assert_eq!(listed.status, 200, "{listed:?}");
    listed.json()
}

pub(super) async fn rows(gateway: &Api, parameters: &str) -> Vec<Value> {
    let listed = list(gateway, parameters).await;
    listed["callbacks"].as_array().unwrap().clone()
}

/// Uploads `keys` and waits until their callbacks are dead letters; returns their rows.
async fn dead_letters(gateway: &Gateway, receiver: &CallbackReceiver, keys: &[&str]) -> Vec<Value> {
    for key in keys {
        let token = gateway.token("PUT", key).callback(receiver.url()).await;
        assert_eq!(gateway.put(&token, "content").await.status, 200);
    }
    until("all are dead letters", async || {
        rows(gateway, "state=dead").await.len() == keys.len()
    })
    .await;
    rows(gateway, "state=dead").await
}

#[tokio::test]
async fn a_dead_letter_is_listed_and_replayed() {
    let (gateway, receiver) = (start(), CallbackReceiver::start().await);
    let said = format!("no: {}", "x".repeat(5_000));
    receiver.reply(move |_| {
        let said = said.clone();
        async move { (http::StatusCode::INTERNAL_SERVER_ERROR, said) }
    });
    let row = dead_letters(&gateway, &receiver, &["a"]).await.remove(0);
    let id = row["id"].as_str().unwrap().to_owned();
    let tries = receiver.all(2).await;
    assert_eq!(tries[0].headers["webhook-id"], id.as_str());
    assert_eq!(row["state"], "dead");
    assert_eq!(row["target_host"], receiver.address.to_string());
    assert_eq!(row["attempts"], 2);
    assert_eq!(row["last_error"], "status_500");
    assert_eq!(row["next_attempt_at"], Value::Null);
    assert!(row["created_at"].as_u64().unwrap() > 1_700_000_000);
    assert_eq!(row["token_id"].as_str().unwrap().len(), 32);

    let path = format!("/callbacks/{id}");
    let shown = answer(gateway.control("GET", &path)).await.json();
    assert_eq!(
        (&shown["key"], &shown["method"]),
        (&json!("a"), &json!("PUT"))
    );
    let history = shown["history"].as_array().unwrap();
    assert_eq!(history.len(), 2);
    assert_eq!(history[1]["status"], 500);
    let said = history[1]["answer"].as_str().unwrap();
    assert!(said.starts_with("no: xxx") && said.len() == 1024, "{said}");
    assert!(!shown.to_string().contains("/hook"), "{shown}");

    receiver.answer(200);
    let replayed = answer(gateway.control("POST", &format!("{path}/replay"))).await;
    assert_eq!(
        (replayed.status, &replayed.json()["state"]),
        (200, &json!("pending"))
    );
    receiver.all(3).await;
    assert_eq!(receiver.attempts()[2].headers["webhook-id"], id.as_str());
    until("it is delivered", async || {
        answer(gateway.control("GET", &path)).await.status == 404
    })
    .await;
    for (method, path) in [("GET", path.clone()), ("POST", format!("{path}/replay"))] {
        let gone = answer(gateway.control(method, &path)).await;
        gone.assert_error(404, "callback_not_found");
    }
    assert!(rows(&gateway, "").await.is_empty());
}

#[tokio::test]
async fn a_pending_callback_is_listed_and_sent_early() {
    let gateway = Gateway::with(json!({"callback": {"retry_seconds": [3600]}}));
    let receiver = CallbackReceiver::start().await;
    receiver.answer(503);
    let token = gateway.token("PUT", "a").callback(receiver.url());
    assert_eq!(gateway.put(&token.await, "content").await.status, 200);
    until("there was an attempt", async || {
        let rows = rows(&gateway, "state=pending").await;
        rows.first().is_some_and(|row| row["attempts"] == 1)
    })
    .await;
    let row = rows(&gateway, "state=pending").await.remove(0);
    let (next, created) = (&row["next_attempt_at"], &row["created_at"]);
    assert!(
        next.as_u64().unwrap() > created.as_u64().unwrap() + 3_000,
        "{row}"
    );
    receiver.answer(200);
    let path = format!("/callbacks/{}/replay", row["id"].as_str().unwrap());
    assert_eq!(answer(gateway.control("POST", &path)).await.status, 200);
    receiver.all(2).await;
}

#[tokio::test]
async fn listings_have_pages_and_replays_a_start_time() {
    let (gateway, receiver) = (start(), CallbackReceiver::start().await);
    receiver.answer(410);
    let all = dead_letters(&gateway, &receiver, &["a", "b", "c"]).await;
    assert_eq!(all[0]["last_error"], "status_410");
    assert_eq!(all[0]["attempts"], 1, "410 ends it at once");
    let first = list(&gateway, "limit=2").await;
    let cursor = first["cursor"].as_str().unwrap();
    let second = list(&gateway, &format!("limit=2&cursor={cursor}")).await;
    assert_eq!(second["cursor"], Value::Null);
    let pages = [&first, &second].map(|page| page["callbacks"].as_array().unwrap().clone());
    assert_eq!(pages.concat(), all);

    receiver.answer(200);
    let late = all[2]["created_at"].as_u64().unwrap() + 100;
    for (since, expected) in [(late, 0), (0, 3), (0, 0)] {
        let path = format!("/callbacks/replay?since={since}");
        let replayed = answer(gateway.control("POST", &path)).await;
        assert_eq!(
            replayed.json(),
            json!({"replayed": expected, "more": false}),
            "{since}"
        );
    }
    receiver.all(6).await;
}

#[tokio::test]
async fn wrong_parameters_are_named() {
    let gateway = start();
    for (method, path, part) in [
        ("GET", "/callbacks?state=gone", "pending or dead"),
        ("GET", "/callbacks?limit=0", "1 to 1000"),
        ("GET", "/callbacks?limit=", "1 to 1000"),
        ("GET", "/callbacks?cursor=x", "cursor"),
        ("GET", "/callbacks?stat=dead", "`stat`"),
        ("POST", "/callbacks/replay", "since"),
        ("POST", "/callbacks/replay?since=yesterday", "since"),
    ] {
        let refused = answer(gateway.control(method, path)).await;
        refused.assert_error(400, "bad_request");
        let message = refused.json()["message"].as_str().unwrap().to_owned();
        assert!(message.contains(part), "{path}: {message}");
    }
    for id in ["nonsense", "evt_0", "%00", "..%2F.."] {
        let path = format!("/callbacks/{id}");
        let unknown = answer(gateway.control("GET", &path)).await;
        unknown.assert_error(404, "callback_not_found");
    }
    let unknown = answer(gateway.plain("GET", "/callbacks")).await;
    unknown.assert_error(401, "unauthorized");
}

/// Code, stdout and stderr of `asset-gateway callbacks …`.
async fn cli(gateway: &Gateway, arguments: &[&str]) -> (Option<i32>, String, String) {
    cli_at(gateway, &gateway.base, arguments).await
}

async fn cli_at(gateway: &Gateway, url: &str, arguments: &[&str]) -> (Option<i32>, String, String) {
    let file = gateway.folder().join("control-token");
    std::fs::write(&file, format!("{CONTROL}\n")).unwrap();
    let mut command = command();
    command
        .arg("callbacks")
        .args(["--url", url, "--token-file"])
        .arg(file)
        .args(arguments);
    let ended = tokio::task::spawn_blocking(move || {
        let mut process = Process::start(command);
        let code = process.wait().code();
        (code, process.stdout(), process.stderr())
    });
    ended.await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_line_lists_shows_and_replays() {
    let (gateway, receiver) = (start(), CallbackReceiver::start().await);
    receiver.answer(500);
    let all = dead_letters(&gateway, &receiver, &["a", "b"]).await;
    let (code, stdout, _) = cli(&gateway, &["list"]).await;
    let lines: Vec<Value> = stdout
        .lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect();
    assert_eq!((code, lines), (Some(0), all.clone()));
    let (code, stdout, _) = cli(&gateway, &["list", "--state", "pending"]).await;
    assert_eq!((code, stdout.as_str()), (Some(0), ""));

    let id = all[0]["id"].as_str().unwrap();
    let (code, stdout, _) = cli(&gateway, &["show", id]).await;
    let shown: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(
        (code, &shown["history"][0]["status"]),
        (Some(0), &json!(500))
    );
    receiver.answer(200);
    let (code, stdout, _) = cli(&gateway, &["replay", id]).await;
    assert!(code == Some(0) && stdout.contains("pending"), "{stdout}");
    let (code, stdout, _) = cli(&gateway, &["replay", "--since", "0"]).await;
    let counted: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(
        (code, counted),
        (Some(0), json!({"replayed": 1, "more": false}))
    );
    receiver.all(6).await;

    let (code, _, stderr) = cli(&gateway, &["show", "nonsense"]).await;
    assert_eq!(code, Some(1));
    assert!(stderr.contains("callback_not_found"), "{stderr}");
    let with_password = gateway.base.replace("://", "://user:geheim@");
    for url in [
        &*with_password,
        "http://user:geheim@",
        "user:geheim@h:1",
        "geheim",
    ] {
        let (code, _, stderr) = cli_at(&gateway, url, &["list"]).await;
        assert_eq!(code, Some(1));
        assert!(
            stderr.contains("--url") && !stderr.contains("geheim"),
            "{stderr}"
        );
    }
    let (code, _, stderr) = cli(&gateway, &["replay"]).await;
    assert_eq!(code, Some(2), "{stderr}");
    assert!(stderr.contains("--since"), "{stderr}");
}
