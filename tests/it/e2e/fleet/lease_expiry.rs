//! The hits that a dead node had reserved are free when its leases expire, and not before.
//!
//! The leases of these nodes are short, because they go by Redis' clock, which no test can move.

use std::time::{Duration, Instant};

use serde_json::json;

use super::concurrent_clients::{Count, crowd};
use crate::support::api::{Answer, Api};
use crate::support::fleet::Fleet;
use crate::support::raw;
use crate::support::redis::server::Server;

const HITS: u64 = 50;
const REQUESTS: usize = 2_000;
/// Uploads, and as many downloads, that are under way on the node that is killed.
const OPEN: u64 = 5;
/// More than socket buffers take.
const LARGE: usize = 16 << 20;
/// All clients have to finish before the leases expire.
const LEASE: Duration = Duration::from_secs(20);
/// A lease, and time for a loaded machine.
const EXPIRED_BY: Duration = Duration::from_secs(26);

/// Uses up the hits that are `left` as they become free, and not one more; returns when the first of
/// them was free.
async fn use_up(left: u64, access: impl AsyncFn() -> Answer) -> Instant {
    let asked = Instant::now();
    let mut back = None;
    let mut used = 0;
    while used < left {
        let answer = access().await;
        match answer.status {
            200 => {
                used += 1;
                back.get_or_insert_with(Instant::now);
            }
            409 => {
                assert!(asked.elapsed() < EXPIRED_BY, "{used} of {left} are free");
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
            _ => panic!("{answer:?}"),
        }
    }
    access().await.assert_error(409, "hits_exceeded");
    back.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn uploads_and_complete_downloads_of_a_dead_node_free_their_hits() {
    let mut fleet = Fleet::with_lease(3, Server::start(), LEASE, json!({}));
    fleet.place("large", vec![7; LARGE]);
    let fields = json!({"max_hits": HITS});
    let put = fleet.nodes[0].token("PUT", "up").with(fields).await;
    let fields = json!({"max_hits": HITS, "hit_on": "complete"});
    let get = fleet.nodes[0].token("GET", "large").with(fields).await;
    let mut open = Vec::new();
    for _ in 0..OPEN {
        let port = fleet.nodes[0].port;
        open.push(raw::begin_upload(port, &put, 10, b"01234").await);
        open.push(raw::begin_download(port, &get, "").await);
    }
    // Both kinds together, because the node is killed once.
    let (upload, download) = (put.clone(), get.clone());
    let both = std::sync::atomic::AtomicUsize::new(0);
    let count = crowd(&mut fleet, 2 * REQUESTS, 30, move |node: &Api| {
        match both.fetch_add(1, std::sync::atomic::Ordering::Relaxed) % 2 {
            0 => node.object("PUT", &upload).body("an upload"),
            _ => node.object("GET", &download),
        }
    });
    let count = count.await;
    let node = &fleet.nodes[0];
    let before = (node.used_hits(&put).await, node.used_hits(&get).await);
    // Acknowledged hits are counted; those that the dead node had reserved are not free yet.
    let whole = Count::of(&count.complete);
    let in_flight = Count::of(&count.unanswered) + Count::of(&count.delivered) - whole;
    // A download may be complete before its commit: one for each client of the dead node,
    // whose next request then gets no answer.
    let uncounted = Count::of(&count.unanswered);
    assert!(
        whole <= before.0 + before.1 + uncounted,
        "{whole}, {before:?}, {count:?}"
    );
    assert!(before.0 + before.1 <= whole + in_flight, "{before:?}");
    assert!(before.0 <= HITS - OPEN && before.1 <= HITS - OPEN);
    node.get(&get).await.assert_error(409, "hits_exceeded");
    node.put(&put, "x").await.assert_error(409, "hits_exceeded");

    let (uploads, downloads) = tokio::join!(
        use_up(HITS - before.0, async || node.put(&put, "x").await),
        use_up(HITS - before.1, async || fleet.nodes[1].get(&get).await),
    );
    for (what, back) in [("uploads", uploads), ("downloads", downloads)] {
        let after = back.duration_since(count.killed_at());
        eprintln!("{what}: the first hit is back {after:?} after the kill");
        assert!(after > LEASE / 2, "{what}: {after:?}");
    }
    for node in &fleet.nodes {
        assert_eq!(node.used_hits(&put).await, HITS);
        assert_eq!(node.used_hits(&get).await, HITS);
    }
    drop(open);
}
