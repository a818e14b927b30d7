//! Redis' memory is full (`maxmemory` with `noeviction`): calls that need memory are refused, others
//! work, and nothing is lost.

use std::io::BufRead;

use serde_json::json;
use tokio::io::AsyncWriteExt;

use crate::support::api::{answer, until};
use crate::support::callback_receiver::CallbackReceiver;
use crate::support::fleet::Fleet;
use crate::support::raw;
use crate::support::redis::server::Server;

/// `1` is less than Redis ever uses; `0` is no limit.
fn set_memory(fleet: &Fleet, bytes: &str) {
    let command = ["CONFIG", "SET", "maxmemory", bytes].map(|word| word.as_bytes().to_vec());
    let mut answer = String::new();
    let mut answers = fleet.redis.send(&command);
    answers.read_line(&mut answer).unwrap();
    assert_eq!(answer, "+OK\r\n");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn full_redis_memory_is_503_and_loses_nothing() {
    let callback = json!({"retry_seconds": [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]});
    let fleet = Fleet::with(2, Server::start(), json!({"callback": callback}));
    let node = &fleet.nodes[0];
    fleet.place("k", vec![7; 8 << 20]);
    let receiver = CallbackReceiver::start().await;
    let limited = node.token("GET", "k").max_hits(3).await;
    let unlimited = node.token("GET", "k").await;
    let revoked = node.token("GET", "k").await;
    let whole = json!({"max_hits": 2, "hit_on": "complete"});
    let whole = node.token("GET", "k").with(whole).await;
    let reported = json!({"callback": receiver.url()});
    let reported = node.token("PUT", "reported").with(reported).await;
    let put = node.token("PUT", "up").await;
    assert_eq!(node.get(&limited).await.status, 200);
    // The receiver is down, so the event stays in the queue.
    receiver.answer(500);
    assert_eq!(node.put(&reported, "bytes").await.status, 200);
    until("one attempt", async || !receiver.received().is_empty()).await;
    let mut upload = raw::begin_upload(node.port, &put, 10, b"01234").await;
    let mut download = node.object("GET", &whole).send().await.unwrap();
    assert_eq!(download.status(), 200);
    // Hits that are in the gateway's memory only must not be lost either.
    for _ in 0..5 {
        assert_eq!(node.get(&unlimited).await.status, 200);
    }

    set_memory(&fleet, "1");
    for node in &fleet.nodes {
        let made = node.create(json!({"key": "k", "method": "GET"})).await;
        made.assert_error(503, "unavailable");
        assert!(made.header("retry-after").is_some());
        node.get(&limited).await.assert_error(503, "unavailable");
        assert_eq!(node.get(&unlimited).await.status, 200);
        assert_eq!(node.head(&limited).await.status, 200);
        assert_eq!(node.used_hits(&limited).await, 1);
    }
    let is_ready = async || answer(node.plain("GET", "/readyz")).await.status == 200;
    until("who cannot write is not ready", async || !is_ready().await).await;
    let revoke = node.control("DELETE", &format!("/token/{revoked}"));
    assert_eq!(answer(revoke).await.status, 204);
    let other = &fleet.nodes[1];
    other
        .get(&revoked)
        .await
        .assert_error(404, "token_not_found");
    // An upload that cannot be recorded does not become visible.
    upload.write_all(b"56789").await.unwrap();
    let refused = raw::read_to_end(&mut upload).await;
    refused.assert_error(503, "unavailable");
    assert_eq!(fleet.stored("up"), None);
    // A download that was admitted ends, and its hit is spent.
    while download.chunk().await.unwrap().is_some() {}
    until("it is spent", async || other.used_hits(&whole).await == 1).await;
    // An event that waits is delivered and taken off the queue.
    receiver.answer(204);
    until("delivered, and nothing waits", async || {
        let scraped = node.scrape().await;
        receiver.received().len() >= 2
            && scraped.contains("\nasset_gateway_callback_queue_pending 0\n")
    })
    .await;

    set_memory(&fleet, "0");
    until("ready again", is_ready).await;
    assert_eq!(other.get(&limited).await.status, 200);
    assert_eq!(other.used_hits(&limited).await, 2);
    assert_eq!(other.put(&put, "0123456789").await.status, 200);
    assert_eq!(other.get(&whole).await.status, 200);
    other.get(&whole).await.assert_error(409, "hits_exceeded");
    until("every hit is counted", async || {
        other.used_hits(&unlimited).await == 7
    })
    .await;
}
