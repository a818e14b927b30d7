//! Clients that leave while it is written down what becomes of their hit.

use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use serde_json::json;

use crate::support::api::{answer, until};
use crate::support::in_process::InProcess;

/// Long enough for the gateway to get to its store.
const PATIENCE: Duration = Duration::from_millis(200);

async fn leaves(gateway: &InProcess, token: &str) {
    let get = gateway.object("GET", token).timeout(PATIENCE);
    assert!(get.send().await.unwrap_err().is_timeout());
}

#[tokio::test]
async fn a_charge_that_nobody_waits_for_charges_nothing() {
    let (gateway, troubles) = InProcess::with_troubles().await;
    gateway.store("k", "text/plain", "bytes").await;
    let fields = json!({"max_hits": 1, "hit_on": "complete"});
    let token = gateway.token("GET", "k", fields).await;
    troubles.charges_hang.store(true, SeqCst);
    for _ in 0..2 {
        leaves(&gateway, &token).await;
        until("the hit is back", async || {
            let fresh = gateway.object("GET", &token).header("if-none-match", "*");
            answer(fresh).await.status == 304
        })
        .await;
    }
    troubles.charges_hang.store(false, SeqCst);
    assert_eq!(gateway.get(&token).await.status, 200);
    until("it counts", async || gateway.used_hits(&token).await == 1).await;
}

#[tokio::test]
async fn a_hit_that_is_being_given_back_is_given_back() {
    let (gateway, troubles) = InProcess::with_troubles().await;
    let token = gateway.token("GET", "k", json!({"max_hits": 1})).await;
    troubles.releases_wait.store(true, SeqCst);
    leaves(&gateway, &token).await;
    assert_eq!(gateway.used_hits(&token).await, 1);
    until("given back", async || gateway.used_hits(&token).await == 0).await;
}
