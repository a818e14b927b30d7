//! An upload became visible, and its node died before it could say so: another node does.
//!
//! Like `leases`, this waits for a lease of Redis' own clock.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::api::answer;
use crate::support::callback_receiver::CallbackReceiver;
use crate::support::fleet::{Fleet, Seen, seen};
use crate::support::pausing_s3::{Pause, PausingS3};
use crate::support::redis::server::Server;

/// A lease, the pause between two sweeps, and what a busy machine needs.
const SETTLED_BY: Duration = Duration::from_secs(75);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upload_of_a_dead_node_is_counted_and_reported_by_another() {
    let mut s3 = PausingS3::start().await;
    let sections = json!({
        "credentials": {"test": {"access_key": "test-access-key", "secret_key": "test-secret-key"}},
        "buckets": {"s3": {"provider": "s3", "bucket": "held", "region": "us-east-1",
            "endpoint": s3.endpoint, "credential": "test", "force_path_style": true}},
    });
    let mut fleet = Fleet::with(3, Server::start(), sections);
    let receiver = CallbackReceiver::start().await;
    let fields = json!({"bucket": "s3", "max_hits": 2, "callback": receiver.url()});
    let token = fleet.nodes[0].token("PUT", "k", fields).await;
    s3.set(Pause::After);
    let put = fleet.nodes[0].object("PUT", &token).body("an upload");
    let uploading = tokio::spawn(seen(put));
    s3.holds().await;
    fleet.kill(0);
    let killed = Instant::now();
    assert!(matches!(uploading.await.unwrap(), Seen::Nothing));
    s3.set(Pause::Nothing);
    assert_eq!(s3.object("k").as_deref(), Some(b"an upload".as_slice()));
    assert_eq!(fleet.nodes[0].used_hits(&token).await, 0);

    while fleet.nodes[0].used_hits(&token).await == 0 {
        assert!(killed.elapsed() < SETTLED_BY, "never settled");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    eprintln!("settled {:?} after the kill", killed.elapsed());
    let events = receiver.events(1).await;
    assert_eq!(events[0]["key"], "k");
    assert_eq!(
        (&events[0]["status"], &events[0]["size"]),
        (&json!(200), &json!(9))
    );
    for node in &fleet.nodes {
        assert_eq!(node.status(&token).await["uploaded"], true);
    }
    // Once: the other hit is left, and no more.
    assert_eq!(fleet.nodes[1].put(&token, "again").await.status, 200);
    let spent = answer(fleet.nodes[0].object("PUT", &token).body("more")).await;
    spent.assert_error(409, "hits_exceeded");
    receiver.events(2).await;
}
