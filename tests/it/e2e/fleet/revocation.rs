//! A token that was revoked on one node is refused by all.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};

use futures_util::future::join_all;
use serde_json::json;
use tokio::task::JoinHandle;

use crate::support::api::{Api, answer, until};
use crate::support::fleet::Fleet;

/// Requests that begin after the revocation, of each client.
const AFTERWARDS: usize = 10;

/// Clients that ask for one token on all nodes until they were refused often enough.
struct Askers {
    revoked: Arc<AtomicBool>,
    served: Arc<Vec<AtomicUsize>>,
    tasks: Vec<JoinHandle<()>>,
}

impl Askers {
    fn start(nodes: &[Api], method: &'static str, token: &str) -> Self {
        let revoked = Arc::<AtomicBool>::default();
        let served: Arc<Vec<AtomicUsize>> = Arc::new(nodes.iter().map(|_| 0.into()).collect());
        let tasks = nodes.iter().cloned().enumerate().map(|(n, node)| {
            let (revoked, served) = (Arc::clone(&revoked), Arc::clone(&served));
            let token = token.to_owned();
            tokio::spawn(async move {
                let mut refused = 0;
                while refused < AFTERWARDS {
                    let is_revoked = revoked.load(SeqCst);
                    let answer = answer(node.object(method, &token).body("bytes")).await;
                    match answer.status {
                        200 => {
                            assert!(!is_revoked, "served by node {n} after the 204");
                            served[n].fetch_add(1, SeqCst);
                        }
                        404 => refused += usize::from(is_revoked),
                        _ => panic!("{answer:?}"),
                    }
                }
            })
        });
        Self {
            tasks: tasks.collect(),
            revoked,
            served,
        }
    }

    async fn all_served(&self) {
        until("every node has served", async || {
            self.served.iter().all(|served| served.load(SeqCst) >= 2)
        })
        .await;
    }

    async fn end(self) {
        self.revoked.store(true, SeqCst);
        for task in join_all(self.tasks).await {
            task.unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revoked_token_is_refused_by_every_node_after_the_204() {
    let fleet = Fleet::start(3);
    fleet.place("k", "bytes");
    let nodes = fleet.clients();
    for round in 0..6 {
        for (method, fields) in [
            ("GET", json!({})),
            ("GET", json!({"max_hits": 1_000_000})),
            ("GET", json!({"max_hits": 1_000_000, "hit_on": "complete"})),
            ("PUT", json!({"max_hits": -1})),
            ("HEAD", json!({})),
        ] {
            let mut fields = fields;
            // The same name each time: a revoked token can be made again.
            fields["token"] = json!("again");
            nodes[(round + 1) % 3].token(method, "k").with(fields).await;
            let askers = Askers::start(&nodes, method, "again");
            askers.all_served().await;
            nodes[round % 3].revoke("again").await;
            askers.end().await;
        }
    }
    nodes[0]
        .token("GET", "k")
        .with(json!({"token": "again", "max_hits": 3}))
        .await;
    for node in &nodes {
        assert_eq!(node.get("again").await.status, 200);
    }
    assert_eq!(nodes[1].used_hits("again").await, 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokens_revoked_together_are_refused_by_every_node() {
    let fleet = Fleet::start(3);
    fleet.place("k", "bytes");
    let nodes = fleet.clients();
    let mut all = Vec::new();
    for n in 0..12 {
        let fields = json!({"tags": ["order-7"]});
        let token = nodes[n % 3].token("GET", "k").with(fields).await;
        all.push(Askers::start(&nodes, "GET", &token));
    }
    for askers in &all {
        askers.all_served().await;
    }
    let revoke = nodes[1].control("DELETE", "/tokens?tag=order-7");
    let revoked = answer(revoke).await;
    assert_eq!(revoked.status, 200, "{revoked:?}");
    for askers in all {
        askers.end().await;
    }
}
