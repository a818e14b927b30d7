//! Events that survive failed attempts and restarts.

use serde_json::json;

use super::receivers::outcome;
use crate::support::api::until;
use crate::support::callback_receiver::CallbackReceiver;
use crate::support::gateway::Gateway;

#[tokio::test]
async fn events_survive_a_stop_right_after_the_upload() {
    let receiver = CallbackReceiver::start().await;
    receiver.answer(503);
    let callback = json!({"retry_seconds": [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]});
    let gateway = Gateway::with(json!({"callback": callback}));
    let mut tokens = Vec::new();
    for n in 0..5 {
        let fields = json!({"callback": receiver.url(), "metadata": {"n": n.to_string()}});
        tokens.push(gateway.token("PUT", &format!("k{n}")).with(fields).await);
    }
    for token in &tokens {
        assert_eq!(gateway.put(token, "bytes").await.status, 200);
    }
    let stopped = gateway.stop();
    receiver.answer(204);
    let gateway = stopped.start();
    let all = || {
        let events = receiver.received();
        let numbers = events
            .into_iter()
            .map(|event| event["metadata"]["n"].to_string());
        numbers.collect::<std::collections::BTreeSet<_>>().len()
    };
    until("all five", async || all() == 5).await;
    outcome(&gateway, "delivered", 5).await;
    assert_eq!(gateway.used_hits(&tokens[0]).await, 1);
}

#[tokio::test]
async fn a_retry_has_the_same_id() {
    let receiver = CallbackReceiver::start().await;
    receiver.answer(500);
    let gateway = Gateway::with(json!({"callback": {"retry_seconds": [1, 1, 1, 1, 1, 1]}}));
    gateway.place("k", "bytes");
    let token = gateway.token("GET", "k").callback(receiver.url()).await;
    gateway.get(&token).await;
    until("two attempts", async || receiver.received().len() >= 2).await;
    receiver.answer(200);
    let tries = receiver.received().len();
    until("the last attempt", async || {
        receiver.received().len() > tries
    })
    .await;
    let attempts = receiver.attempts().into_iter();
    let ids = attempts.map(|one| one.headers["webhook-id"].clone());
    assert_eq!(ids.collect::<std::collections::HashSet<_>>().len(), 1);
    outcome(&gateway, "delivered", 1).await;
}
