//! Receivers that are down, slow, broken or verbose.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::{Duration, SystemTime};

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::StreamExt;
use http::{StatusCode, header};
use serde_json::json;

use crate::support::api::until;
use crate::support::callback_receiver::{Attempt, CallbackReceiver};
use crate::support::gateway::Gateway;

const MIB: u64 = 1 << 20;

fn gateway() -> Gateway {
    Gateway::with(json!({"callback": {"timeout_seconds": 2, "retry_seconds": [1, 1, 1]}}))
}

/// Uploads through a token with this callback.
pub(super) async fn upload(gateway: &Gateway, callback: String) {
    let token = gateway.token("PUT", "k").callback(callback).await;
    assert_eq!(gateway.put(&token, "bytes").await.status, 200);
}

/// Waits until `count` attempts have this outcome.
pub(super) async fn outcome(gateway: &Gateway, outcome: &str, count: usize) {
    let line = format!("asset_gateway_callbacks_total{{outcome=\"{outcome}\"}} {count}");
    until(&line, async || {
        gateway
            .scrape()
            .await
            .lines()
            .any(|scraped| scraped == line)
    })
    .await;
}

/// The error names of failed attempts.
pub(super) fn errors(gateway: &Gateway) -> Vec<String> {
    let failed = gateway.logged("callback failed").into_iter();
    let failed = failed.chain(gateway.logged("callback given up"));
    failed
        .map(|line| line["error.type"].as_str().unwrap().to_owned())
        .collect()
}

#[track_caller]
fn assert_same_event(tries: &[Attempt]) {
    let ids: HashSet<_> = tries.iter().map(|one| &one.headers["webhook-id"]).collect();
    assert_eq!(ids.len(), 1);
}

#[tokio::test]
async fn a_receiver_that_is_down_gets_the_event_once_it_is_up() {
    let gateway = gateway();
    let receiver = CallbackReceiver::start().await;
    let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = closed.local_addr().unwrap();
    drop(closed);
    upload(&gateway, format!("http://{address}/hook")).await;
    until("two attempts", async || errors(&gateway).len() == 2).await;
    assert_eq!(errors(&gateway), ["connect", "connect"]);
    let late = CallbackReceiver::start_at(address).await;
    late.all(1).await;
    outcome(&gateway, "delivered", 1).await;
    assert!(receiver.attempts().is_empty());
}

#[tokio::test]
async fn a_receiver_is_waited_for_until_the_timeout() {
    let (gateway, receiver) = (gateway(), CallbackReceiver::start().await);
    receiver.reply(|number| async move {
        let takes = if number == 1 { 1_200 } else { 60_000 };
        tokio::time::sleep(Duration::from_millis(takes)).await;
    });
    upload(&gateway, receiver.url()).await;
    outcome(&gateway, "delivered", 1).await;
    upload(&gateway, receiver.url()).await;
    until("an attempt timed out", async || {
        !errors(&gateway).is_empty()
    })
    .await;
    assert_eq!(errors(&gateway), ["timeout"]);
    receiver.answer(204);
    outcome(&gateway, "delivered", 2).await;
    assert_same_event(&receiver.all(3).await[1..]);
}

#[tokio::test]
async fn errors_and_redirects_are_retried_and_410_is_not() {
    let (gateway, receiver) = (gateway(), CallbackReceiver::start().await);
    let elsewhere = CallbackReceiver::start().await;
    let location = elsewhere.url();
    receiver.reply(move |number| {
        let location = location.clone();
        async move {
            match number {
                1 => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
                2 => (StatusCode::FOUND, [(header::LOCATION, location)]).into_response(),
                _ => StatusCode::GONE.into_response(),
            }
        }
    });
    upload(&gateway, receiver.url()).await;
    outcome(&gateway, "dead", 1).await;
    until("the last failure is logged", async || {
        errors(&gateway).len() == 3
    })
    .await;
    assert_eq!(errors(&gateway), ["status_500", "status_302", "status_410"]);
    // Another retry would have been due by now.
    tokio::time::sleep(Duration::from_millis(1_300)).await;
    assert_same_event(&receiver.all(3).await);
    assert!(elsewhere.attempts().is_empty());
}

#[tokio::test]
async fn retry_after_is_honoured_in_seconds_and_as_a_date() {
    let gateway = gateway();
    let mut waiting = Vec::new();
    for date in [false, true] {
        let receiver = CallbackReceiver::start().await;
        receiver.reply(move |number| async move {
            let after = match date {
                // A date has no fractions of a second: 3 to 4 s from now.
                true => httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(4)),
                false => "3".to_owned(),
            };
            match number {
                1 => (
                    StatusCode::TOO_MANY_REQUESTS,
                    [(header::RETRY_AFTER, after)],
                )
                    .into_response(),
                _ => StatusCode::OK.into_response(),
            }
        });
        upload(&gateway, receiver.url()).await;
        waiting.push(receiver);
    }
    for receiver in waiting {
        let tries = receiver.all(2).await;
        let pause = tries[1].at - tries[0].at;
        // At most 1.1 s without `Retry-After`.
        assert!(pause >= Duration::from_millis(2_950), "{pause:?}");
    }
}

/// 100 MiB; counts the bytes that are read.
fn endless(sent: &Arc<AtomicU64>) -> Response {
    let (sent, piece) = (Arc::clone(sent), Bytes::from(vec![b'x'; 1 << 16]));
    let pieces = futures_util::stream::iter(0..1600).map(move |_| {
        sent.fetch_add(piece.len() as u64, SeqCst);
        Ok::<_, std::io::Error>(piece.clone())
    });
    Body::from_stream(pieces).into_response()
}

#[tokio::test]
async fn an_answer_of_100_mib_is_not_read_into_memory() {
    let (gateway, receiver) = (gateway(), CallbackReceiver::start().await);
    // The same work as below, with empty answers.
    for _ in 0..20 {
        upload(&gateway, receiver.url()).await;
    }
    outcome(&gateway, "delivered", 20).await;
    let before = gateway.memory();
    let sent = Arc::<AtomicU64>::default();
    let counter = Arc::clone(&sent);
    receiver.reply(move |_| {
        let answer = endless(&counter);
        async move { answer }
    });
    let mut most = before;
    for _ in 0..20 {
        upload(&gateway, receiver.url()).await;
        most = most.max(gateway.memory());
    }
    outcome(&gateway, "delivered", 40).await;
    most = most.max(gateway.memory());
    assert_eq!(receiver.attempts().len(), 40);
    let sent = sent.load(SeqCst);
    println!(
        "of 2,000 MiB the receiver sent {} MiB; memory grew from {} KiB by {} KiB",
        sent / MIB,
        before / 1024,
        (most - before) / 1024
    );
    // Socket buffers take some.
    assert!(sent < 20 * 10 * MIB, "{sent}");
    assert!(most - before < 10 * MIB, "{before} {most}");
}

#[tokio::test]
async fn connections_to_a_receiver_are_reused() {
    let (gateway, receiver) = (gateway(), CallbackReceiver::start().await);
    receiver.reply(|_| async { "a short answer" });
    for n in 1..=10 {
        upload(&gateway, receiver.url()).await;
        outcome(&gateway, "delivered", n).await;
    }
    let peers: HashSet<_> = receiver.all(10).await.iter().map(|one| one.peer).collect();
    assert_eq!(peers.len(), 1);
}
