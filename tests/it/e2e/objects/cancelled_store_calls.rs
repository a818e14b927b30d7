//! Clients that disconnect during a charge or a release of their hit.

use std::time::Duration;

use serde_json::json;

use crate::support::api::{answer, until};
use crate::support::faulty_store::Gate;
use crate::support::in_process::InProcess;

/// Long enough for the gateway to notice that a client has disconnected.
const SEEN: Duration = Duration::from_millis(200);

/// Sends a request and disconnects when its store call waits at the gate.
async fn disconnect_at(gate: &Gate, gateway: &InProcess, token: &str) {
    let before = gate.stopped();
    let asking = tokio::spawn(answer(gateway.object("GET", token)));
    until("the store call waits at the gate", async || {
        gate.stopped() > before
    })
    .await;
    asking.abort();
    tokio::time::sleep(SEEN).await;
}

#[tokio::test]
async fn a_cancelled_charge_charges_nothing() {
    let (gateway, faults) = InProcess::with_faulty_store().await;
    gateway.store("k", "text/plain", "bytes").await;
    let fields = json!({"max_hits": 1, "hit_on": "complete"});
    let token = gateway.token("GET", "k").with(fields).await;
    faults.charged.shut();
    for _ in 0..2 {
        disconnect_at(&faults.charged, &gateway, &token).await;
        until("the hit is free", async || {
            let fresh = gateway.object("GET", &token).header("if-none-match", "*");
            answer(fresh).await.status == 304
        })
        .await;
    }
    faults.charged.open();
    assert_eq!(gateway.get(&token).await.status, 200);
    until("the hit is counted", async || {
        gateway.used_hits(&token).await == 1
    })
    .await;
}

#[tokio::test]
async fn a_cancelled_release_frees_the_hit() {
    let (gateway, faults) = InProcess::with_faulty_store().await;
    let token = gateway.token("GET", "k").max_hits(1).await;
    faults.releasing.shut();
    disconnect_at(&faults.releasing, &gateway, &token).await;
    assert_eq!(gateway.used_hits(&token).await, 1);
    faults.releasing.open();
    until("the hit is free", async || {
        gateway.used_hits(&token).await == 0
    })
    .await;
}
