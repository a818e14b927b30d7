//! `hit_on: complete`: an incomplete delivery counts no hit, within a byte budget.

use futures_util::future::join_all;
use serde_json::json;

use crate::support::api::{answer, until};
use crate::support::gateway::Gateway;
use crate::support::raw;

fn place_large(gateway: &Gateway, size: u64) {
    gateway.place("large", "");
    let large = std::fs::File::create(gateway.objects().join("large")).unwrap();
    large.set_len(size).unwrap();
}

/// No request has reserved the hit: a conditional request is admitted, and its 304 charges nothing.
async fn is_free(gateway: &Gateway, token: &str) -> bool {
    let fresh = gateway.object("GET", token).header("if-none-match", "*");
    answer(fresh).await.status == 304
}

#[tokio::test]
async fn an_aborted_download_frees_its_hit() {
    let gateway = Gateway::start();
    place_large(&gateway, 128 << 20);
    let fields = json!({"max_hits": 1, "hit_on": "complete"});
    let token = gateway.token("GET", "large").with(fields).await;
    let stream = raw::begin_download(gateway.port, &token, "").await;
    // The hit is reserved, not used; no other request gets it.
    assert_eq!(gateway.used_hits(&token).await, 0);
    gateway.get(&token).await.assert_error(409, "hits_exceeded");
    drop(stream);
    until("the hit is free", async || is_free(&gateway, &token).await).await;
    assert_eq!(gateway.used_hits(&token).await, 0);
    let got = gateway.get(&token).await;
    assert_eq!((got.status, got.body.len()), (200, 128 << 20));
    until("the hit is counted", async || {
        gateway.used_hits(&token).await == 1
    })
    .await;
    gateway.get(&token).await.assert_error(409, "hits_exceeded");
}

#[tokio::test]
async fn aborted_downloads_use_up_the_byte_budget() {
    const SIZE: u64 = 64 << 20;
    let gateway = Gateway::start();
    place_large(&gateway, SIZE);
    let fields = json!({"max_hits": 1, "hit_on": "complete"});
    let token = gateway.token("GET", "large").with(fields).await;
    let mut taken = 0;
    loop {
        until("the hit is free", async || is_free(&gateway, &token).await).await;
        let mut response = gateway.object("GET", &token).send().await.unwrap();
        if response.status() == 409 {
            let error: serde_json::Value = response.json().await.unwrap();
            assert_eq!(error["code"], "hits_exceeded");
            break;
        }
        assert_eq!(response.status(), 200);
        // Reads half and disconnects.
        let mut got = 0;
        while got < SIZE / 2 {
            got += response.chunk().await.unwrap().unwrap().len() as u64;
        }
        taken += got;
        assert!(taken * 10 <= SIZE * 11, "more than the budget: {taken}");
    }
    assert!(taken > 0);
    assert_eq!(gateway.used_hits(&token).await, 0);
}

#[tokio::test]
async fn complete_downloads_are_counted_exactly() {
    let gateway = Gateway::start();
    gateway.place("k", vec![7; 10_000]);
    let fields = json!({"max_hits": 10, "hit_on": "complete"});
    let token = gateway.token("GET", "k").with(fields).await;
    let answers = join_all((0..100).map(|_| gateway.get(&token))).await;
    assert!(
        answers
            .iter()
            .all(|answer| matches!(answer.status, 200 | 409))
    );
    let delivered = answers.iter().filter(|answer| answer.status == 200).count();
    assert_eq!(delivered, 10);
    until("ten", async || gateway.used_hits(&token).await == 10).await;
    gateway.get(&token).await.assert_error(409, "hits_exceeded");
}

#[tokio::test]
async fn a_304_and_a_404_charge_nothing() {
    let gateway = Gateway::start();
    gateway.place("k", "0123456789");
    let fields = json!({"max_hits": 1, "hit_on": "complete"});
    let token = gateway.token("GET", "k").with(fields).await;
    for _ in 0..20 {
        let fresh = gateway.object("GET", &token).header("if-none-match", "*");
        assert_eq!(answer(fresh).await.status, 304);
        let outside = gateway.object("GET", &token).header("range", "bytes=99-");
        assert_eq!(answer(outside).await.status, 416);
    }
    assert_eq!(gateway.get(&token).await.status, 200);
}
