//! Never more deliveries than hits, whichever node dies.

use super::concurrent_clients::{Count, crowd};
use crate::support::fleet::Fleet;

const HITS: u64 = 50;
const REQUESTS: usize = 2_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_hits_are_fifty_deliveries_when_a_node_is_killed() {
    let mut fleet = Fleet::start(3);
    fleet.place("k", vec![7; 1 << 20]);
    for kill_after in [1, 15, 40] {
        let token = fleet.nodes[0].token("GET", "k").max_hits(HITS).await;
        let name = token.clone();
        let count = crowd(&mut fleet, REQUESTS, kill_after, move |node| {
            node.object("GET", &name)
        });
        let count = count.await;
        let delivered = Count::of(&count.delivered);
        let unanswered = Count::of(&count.unanswered);
        assert!(delivered <= HITS, "{delivered} deliveries");
        // No hit was lost, but those that the dead node had counted and not answered.
        assert!(delivered + unanswered >= HITS, "{count:?}");
        assert!(unanswered <= 20, "no more than were in flight: {count:?}");
        for node in &fleet.nodes {
            assert_eq!(node.used_hits(&token).await, HITS);
            node.get(&token).await.assert_error(409, "hits_exceeded");
        }
        fleet.add();
    }
}
