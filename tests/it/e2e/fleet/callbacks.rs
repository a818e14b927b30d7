//! Events outlive the node that has queued them.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::support::api::until;
use crate::support::callback_receiver::CallbackReceiver;
use crate::support::fleet::Fleet;
use crate::support::redis::server::Server;

const UPLOADS: usize = 10;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_of_a_dead_node_are_delivered_by_others() {
    let callback = json!({"retry_seconds": [3, 3, 3, 3, 3]});
    let mut fleet = Fleet::with(2, Server::start(), json!({"callback": callback}));
    let receiver = CallbackReceiver::start().await;
    receiver.answer(500);
    let mut expected = BTreeSet::new();
    for n in 0..UPLOADS {
        let fields = json!({"callback": receiver.url()});
        let key = format!("up-{n}");
        let token = fleet.nodes[0].token("PUT", &key).with(fields).await;
        assert_eq!(fleet.nodes[0].put(&token, "bytes").await.status, 200);
        expected.insert(key);
    }
    let keys = |received: &[Value]| -> BTreeSet<String> {
        let keys = received.iter().map(|event| event["key"].as_str());
        keys.map(|key| key.unwrap().to_owned()).collect()
    };
    // Each was tried once, and nobody holds it until its next try.
    let retried = format!("asset_gateway_callbacks_total{{outcome=\"retried\"}} {UPLOADS}\n");
    until("a try of each", async || {
        fleet.nodes[0].scrape().await.contains(&retried)
    })
    .await;
    assert_eq!(keys(&receiver.received()), expected);
    fleet.kill(0);
    let tried = receiver.received().len();
    receiver.answer(204);
    until("all are delivered", async || {
        keys(&receiver.received()[tried..]) == expected
    })
    .await;
}
