//! `callback_mode: sync`: the uploader gets the receiver's answer.

use std::time::Duration;

use axum::body::Body;
use axum::response::IntoResponse;
use http::StatusCode;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::receivers::outcome;
use crate::support::api::{Answer, answer, until};
use crate::support::callback_receiver::CallbackReceiver;
use crate::support::gateway::{Gateway, Stopped};

async fn token(gateway: &Gateway, receiver: &str, key: &str) -> String {
    let fields = json!({"callback": receiver, "callback_mode": "sync"});
    gateway.token("PUT", key).with(fields).await
}

async fn metric(gateway: &Gateway, line: &str) -> bool {
    let scraped = gateway.scrape().await;
    scraped.lines().any(|scraped| scraped == line)
}

/// Checks a 203, which describes the stored object.
fn assert_stored_without_answer(put: &Answer, error: &str, size: usize) {
    assert_eq!(put.status, 203, "{put:?}");
    let body = put.json();
    assert_eq!(body["code"], "callback_failed");
    assert_eq!(body["size"], size);
    assert_eq!(body["request_id"], put.header("x-request-id").unwrap());
    let etag = body["etag"].as_str().unwrap();
    assert_eq!(put.header("etag"), Some(&*format!("\"{etag}\"")));
    put.says(&format!("({error})"));
}

#[tokio::test]
async fn the_uploader_gets_the_receivers_answer() {
    let (gateway, receiver) = (Gateway::start(), CallbackReceiver::start().await);
    let said = "{ \"id\": 7,\n  \"报告\": [null, 1.50] }";
    receiver.reply(move |_| async move { (StatusCode::CREATED, said) });
    let token = token(&gateway, &receiver.url(), "k").await;
    assert_eq!(gateway.record(&token).await["callback_mode"], "sync");
    let put = gateway.put(&token, "bytes").await;
    assert_eq!(put.status, 200);
    assert_eq!(put.body, said);
    assert_eq!(put.header("content-type"), Some("application/json"));
    let event = receiver.events(1).await.remove(0);
    assert_eq!(event["size"], 5);
    assert_eq!(
        put.header("etag"),
        Some(&*format!("{:?}", event["etag"].as_str().unwrap()))
    );
    assert_eq!(gateway.status(&token).await["uploaded"], true);
    assert_eq!(gateway.used_hits(&token).await, 1);
    // A delivered event is not in the queue, before and after a restart.
    let delivered = "asset_gateway_callbacks_total{outcome=\"delivered\"} 1";
    assert!(metric(&gateway, delivered).await);
    let gateway = gateway.stop().start();
    until("a look at the queue", async || {
        metric(&gateway, "asset_gateway_callback_queue_pending 0").await
    })
    .await;
    assert_eq!(receiver.attempts().len(), 1);
}

#[tokio::test]
async fn an_upload_whose_callback_was_removed_is_answered_by_the_gateway() {
    let (gateway, receiver) = (Gateway::start(), CallbackReceiver::start().await);
    let token = token(&gateway, &receiver.url(), "k").await;
    let changed = gateway.patch(&token, json!({"callback": null})).await;
    assert_eq!(changed.status, 200);
    let put = gateway.put(&token, "bytes").await;
    assert_eq!((put.status, put.json()["size"].clone()), (200, json!(5)));
    assert!(receiver.attempts().is_empty());
}

/// The uploader is told, and the event is retried like any other.
#[tokio::test]
async fn an_unusable_answer_is_a_203_and_is_retried() {
    let receiver = CallbackReceiver::start().await;
    let gateway = Gateway::with(json!({"callback": {"retry_seconds": [1], "timeout_seconds": 1}}));
    let long = |length: usize| format!("\"{}\"", "x".repeat(length - 2));
    type First = fn(&str) -> axum::response::Response;
    let cases: [(&str, First); 9] = [
        ("status_500", |_| {
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }),
        ("status_302", |_| {
            (StatusCode::FOUND, [("location", "/hook")]).into_response()
        }),
        ("status_404", |_| {
            (StatusCode::NOT_FOUND, "{}").into_response()
        }),
        ("bad_answer", |_| "<p>ok</p>".into_response()),
        ("bad_answer", |_| b"{\"a\":\"\xff\"}".into_response()),
        ("bad_answer", |_| StatusCode::NO_CONTENT.into_response()),
        ("bad_answer", |long| long.to_owned().into_response()),
        ("bad_answer", |long| {
            let pieces = long.as_bytes().chunks(1000).map(|piece| Ok(piece.to_vec()));
            let pieces: Vec<Result<_, std::io::Error>> = pieces.collect();
            Body::from_stream(futures_util::stream::iter(pieces)).into_response()
        }),
        ("timeout", |_| {
            let nothing = futures_util::stream::pending::<Result<Vec<u8>, std::io::Error>>();
            Body::from_stream(nothing).into_response()
        }),
    ];
    let mut seen = 0;
    for (n, (error, first)) in cases.into_iter().enumerate() {
        let too_long = long(64 * 1024 + 1);
        let failing = seen + 1;
        receiver.reply(move |number| {
            let first = (number == failing).then(|| first(&too_long));
            async move { first.unwrap_or_else(|| StatusCode::NO_CONTENT.into_response()) }
        });
        let token = token(&gateway, &receiver.url(), &format!("k{n}")).await;
        let put = gateway.put(&token, "bytes").await;
        assert_stored_without_answer(&put, error, 5);
        put.says("it is tried again");
        assert_eq!(gateway.status(&token).await["uploaded"], true);
        let tries = receiver.all(seen + 2).await;
        let [first, again] = &tries[seen..] else {
            panic!("two attempts")
        };
        assert_eq!(first.headers["webhook-id"], again.headers["webhook-id"]);
        assert_eq!(first.body, again.body);
        seen += 2;
    }
    let most = long(64 * 1024);
    let said = most.clone();
    receiver.reply(move |_| {
        let said = said.clone();
        async move { said }
    });
    let token = token(&gateway, &receiver.url(), "most").await;
    let put = gateway.put(&token, "bytes").await;
    assert_eq!((put.status, put.body), (200, most.into()));
}

#[tokio::test]
async fn a_gone_absent_or_denied_receiver_is_a_203() {
    let receiver = CallbackReceiver::start().await;
    receiver.answer(410);
    let callback = json!({"deny_networks": ["127.0.0.0/9", "::1/128"], "retry_seconds": [60]});
    let gateway = Gateway::with(json!({"callback": callback}));
    let url = receiver.url().replace("127.0.0.1", "localhost");
    let denied = token(&gateway, &url, "denied").await;
    let put = gateway.put(&denied, "bytes").await;
    assert_stored_without_answer(&put, "target_denied", 5);
    assert!(receiver.attempts().is_empty());

    let gateway = Gateway::with(json!({"callback": {"retry_seconds": [60]}}));
    let gone = token(&gateway, &receiver.url(), "gone").await;
    let put = gateway.put(&gone, "bytes").await;
    assert_stored_without_answer(&put, "status_410", 5);
    put.says("it is given up");
    assert!(
        metric(
            &gateway,
            "asset_gateway_callbacks_total{outcome=\"dead\"} 1"
        )
        .await
    );

    let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", closed.local_addr().unwrap());
    drop(closed);
    let away = token(&gateway, &url, "away").await;
    let put = gateway.put(&away, "bytes").await;
    assert_stored_without_answer(&put, "connect", 5);
    put.says("it is tried again");
}

#[tokio::test]
async fn sync_mode_needs_an_upload_with_a_callback() {
    let gateway = Gateway::start();
    let hook = "https://h.example/";
    for (method, callback, says) in [
        ("GET", json!(hook), "callback_mode: sync is for PUT"),
        ("HEAD", json!(hook), "callback_mode: sync is for PUT"),
        ("PUT", Value::Null, "callback_mode: needs a callback"),
    ] {
        let body = json!({"key": "k", "method": method, "callback": callback,
            "callback_mode": "sync"});
        let refused = gateway.create(body).await;
        refused.assert_error(400, "bad_request").says(says);
    }
}

/// The event is on disk before the receiver is called.
async fn kill_before_the_receiver_answers(receiver: &CallbackReceiver) -> Stopped {
    receiver.reply(|_| std::future::pending::<StatusCode>());
    let gateway = Gateway::start();
    let token = token(&gateway, &receiver.url(), "k").await;
    let uploading = tokio::spawn(gateway.object("PUT", &token).body("bytes").send());
    receiver.all(1).await;
    assert_eq!(gateway.used_hits(&token).await, 1);
    let stopped = gateway.kill();
    assert!(uploading.await.unwrap().is_err());
    stopped
}

#[tokio::test]
async fn a_gateway_killed_before_the_receivers_answer_delivers_after_its_restart() {
    let receiver = CallbackReceiver::start().await;
    let stopped = kill_before_the_receiver_answers(&receiver).await;
    receiver.answer(204);
    let gateway = stopped.start();
    let tries = receiver.all(2).await;
    assert_eq!(
        tries[0].headers["webhook-id"],
        tries[1].headers["webhook-id"]
    );
    outcome(&gateway, "delivered", 1).await;
}

#[tokio::test]
async fn an_uploader_that_disconnects_does_not_stop_the_delivery() {
    let (gateway, receiver) = (Gateway::start(), CallbackReceiver::start().await);
    receiver.reply(|_| async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        "{}"
    });
    let token = token(&gateway, &receiver.url(), "k").await;
    let uploading = tokio::spawn(gateway.object("PUT", &token).body("bytes").send());
    receiver.all(1).await;
    uploading.abort();
    outcome(&gateway, "delivered", 1).await;
    assert_eq!(receiver.attempts().len(), 1);
}

#[tokio::test]
async fn a_hanging_receiver_does_not_delay_uploads_for_another() {
    let gateway = Gateway::with(json!({"callback": {"timeout_seconds": 10}}));
    let (hanging, well) = (
        CallbackReceiver::start().await,
        CallbackReceiver::start().await,
    );
    hanging.reply(|_| std::future::pending::<StatusCode>());
    well.reply(|_| async { "{}" });
    let mut waiting = JoinSet::new();
    for number in 0..64 {
        let token = token(&gateway, &hanging.url(), &format!("hanging/{number}")).await;
        waiting.spawn(answer(gateway.object("PUT", &token).body("bytes")));
    }
    until("some uploads hang", async || !hanging.attempts().is_empty()).await;
    for number in 0..8 {
        let token = token(&gateway, &well.url(), &format!("well/{number}")).await;
        assert_eq!(gateway.put(&token, "bytes").await.status, 200);
    }
    while let Some(put) = waiting.join_next().await {
        assert_stored_without_answer(&put.unwrap(), "timeout", 5);
    }
}

#[tokio::test]
async fn an_event_without_a_free_worker_counts_no_attempt() {
    let callback = json!({"timeout_seconds": 6, "concurrency": 1, "retry_seconds": [3600]});
    let gateway = Gateway::with(json!({"callback": callback}));
    let receiver = CallbackReceiver::start().await;
    receiver.reply(|number| async move {
        match number {
            1 => std::future::pending().await,
            _ => "{}",
        }
    });
    let first = token(&gateway, &receiver.url(), "first").await;
    let first = tokio::spawn(answer(gateway.object("PUT", &first).body("bytes")));
    until("the first attempt hangs", async || {
        !receiver.attempts().is_empty()
    })
    .await;
    let second = token(&gateway, &receiver.url(), "second").await;
    let put = gateway.put(&second, "bytes").await;
    assert_stored_without_answer(&put, "timeout", 5);
    // The background deliverer sends it, and does not wait an hour.
    until("the second one's event", async || {
        receiver
            .received()
            .iter()
            .any(|event| event["key"] == "second")
    })
    .await;
    assert_stored_without_answer(&first.await.unwrap(), "timeout", 5);
    let pending = answer(gateway.control("GET", "/callbacks?state=pending")).await;
    let rows = pending.json()["callbacks"].clone();
    assert_eq!(rows.as_array().unwrap().len(), 1, "{rows}");
    assert_eq!(rows[0]["attempts"], 1);
}
