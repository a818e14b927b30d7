//! Many concurrent clients on all nodes, while one of the nodes is killed.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use futures_util::future::join_all;
use reqwest::RequestBuilder;

use crate::support::api::{Api, until};
use crate::support::fleet::{Fleet, Seen, seen};

const WORKERS: usize = 60;

/// How many requests ended how.
#[derive(Debug, Default)]
pub struct Count {
    requests: AtomicUsize,
    /// An answer of 200 began.
    pub delivered: AtomicUsize,
    /// An answer of 200 was complete.
    pub complete: AtomicUsize,
    pub refused: AtomicUsize,
    /// No answer came from the node that was killed.
    pub unanswered: AtomicUsize,
    killed_at: OnceLock<Instant>,
}

impl Count {
    pub fn killed_at(&self) -> Instant {
        *self.killed_at.get().unwrap()
    }

    pub fn of(counter: &AtomicUsize) -> u64 {
        counter.load(SeqCst) as u64
    }

    fn note(&self, seen: &Seen) {
        match seen.status() {
            Some(200) => {
                self.delivered.fetch_add(1, SeqCst);
                self.complete
                    .fetch_add(usize::from(seen.is_complete()), SeqCst);
            }
            Some(409) => {
                self.refused.fetch_add(1, SeqCst);
            }
            Some(_) => panic!("{seen:?}"),
            None => {
                self.unanswered.fetch_add(1, SeqCst);
            }
        }
    }
}

/// Sends `requests` requests to all nodes. The first node is killed after `kill_after` successes; its
/// clients continue at the others.
pub async fn crowd(
    fleet: &mut Fleet,
    requests: usize,
    kill_after: usize,
    request: impl Fn(&Api) -> RequestBuilder + Send + Sync + 'static,
) -> Arc<Count> {
    let count = Arc::<Count>::default();
    let request = Arc::new(request);
    let clients = fleet.clients();
    let workers = (0..WORKERS).map(|worker| {
        let (count, request, clients) = (Arc::clone(&count), Arc::clone(&request), clients.clone());
        tokio::spawn(async move {
            let mut node = worker % clients.len();
            while count.requests.fetch_add(1, SeqCst) < requests {
                let seen = seen(request(&clients[node])).await;
                count.note(&seen);
                if !seen.is_complete() {
                    assert_eq!(node, 0, "a node that lives does not answer: {seen:?}");
                    node = 1 + worker % (clients.len() - 1);
                }
            }
        })
    });
    let workers: Vec<_> = workers.collect();
    until("the moment to kill", async || {
        count.complete.load(SeqCst) >= kill_after
    })
    .await;
    fleet.kill(0);
    count.killed_at.set(Instant::now()).unwrap();
    let at = count.requests.load(SeqCst);
    assert!(at < requests, "killed after the end");
    for worker in join_all(workers).await {
        worker.unwrap();
    }
    eprintln!("killed at request {at}: {count:?}");
    count
}
