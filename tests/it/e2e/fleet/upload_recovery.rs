//! An upload becomes visible and its node is killed before the commit: another node recovers it.
//!
//! The leases of these nodes are short, because they go by Redis' clock, which no test can move.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::api::answer;
use crate::support::callback_receiver::CallbackReceiver;
use crate::support::fleet::{Fleet, Seen, seen};
use crate::support::redis::server::Server;
use crate::support::s3::{Pause, S3sServer};

const LEASE: Duration = Duration::from_secs(10);
/// A lease, the pause between two sweeps, and time for a loaded machine.
const RECOVERED_BY: Duration = Duration::from_secs(25);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upload_of_a_dead_node_is_counted_and_reported_by_another() {
    let s3 = S3sServer::start().await;
    let mut fleet = Fleet::with_lease(3, Server::start(), LEASE, s3.sections(json!({})));
    let receiver = CallbackReceiver::start().await;
    let fields = json!({"bucket": "s3", "max_hits": 2, "callback": receiver.url()});
    let token = fleet.nodes[0].token("PUT", "k").with(fields).await;
    s3.pause_at(Pause::AfterExecution);
    let put = fleet.nodes[0].object("PUT", &token).body("an upload");
    let uploading = tokio::spawn(seen(put));
    s3.paused().await;
    fleet.kill(0);
    let killed = Instant::now();
    assert!(matches!(uploading.await.unwrap(), Seen::NoAnswer));
    s3.pause_at(Pause::Never);
    assert_eq!(s3.object("k").as_deref(), Some(b"an upload".as_slice()));
    assert_eq!(fleet.nodes[0].used_hits(&token).await, 0);

    while fleet.nodes[0].used_hits(&token).await == 0 {
        assert!(killed.elapsed() < RECOVERED_BY, "never recovered");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    eprintln!("recovered {:?} after the kill", killed.elapsed());
    let events = receiver.events(1).await;
    assert_eq!(events[0]["key"], "k");
    assert_eq!(
        (&events[0]["status"], &events[0]["size"]),
        (&json!(200), &json!(9))
    );
    for node in &fleet.nodes {
        assert_eq!(node.status(&token).await["uploaded"], true);
    }
    // Counted once: one hit is left.
    assert_eq!(fleet.nodes[1].put(&token, "again").await.status, 200);
    let spent = answer(fleet.nodes[0].object("PUT", &token).body("more")).await;
    spent.assert_error(409, "hits_exceeded");
    receiver.events(2).await;
}
