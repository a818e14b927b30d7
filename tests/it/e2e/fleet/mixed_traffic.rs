//! Requests of every kind on all nodes, with a record of what was acknowledged.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use reqwest::RequestBuilder;
use serde_json::json;
use tokio::task::JoinSet;

use crate::support::api::{Answer, Api, answer, until};
use crate::support::callback_receiver::CallbackReceiver;
use crate::support::fleet::Fleet;

/// Hits of the token that all clients share.
const HITS: u64 = 120;
/// Long before the claims of the time before the outage expire.
const REPORTED_BY: Duration = Duration::from_secs(20);

#[derive(Default)]
struct Shared {
    stop: AtomicBool,
    away: AtomicBool,
    /// The slowest request that began and ended during the outage.
    longest_away: Mutex<Duration>,
    answered_away: AtomicUsize,
    delivered: AtomicUsize,
    kept: Mutex<Vec<String>>,
    revoked: Mutex<Vec<String>>,
    uploaded: Mutex<Vec<String>>,
}

impl Shared {
    fn note_away(&self, took: Duration) {
        let mut longest = self.longest_away.lock();
        *longest = took.max(*longest);
        self.answered_away.fetch_add(1, SeqCst);
    }
}

pub struct Traffic {
    shared: Arc<Shared>,
    /// Steps that each client has done.
    steps: Vec<Arc<AtomicUsize>>,
    clients: JoinSet<()>,
    limited: String,
}

/// One client of one node.
struct Client {
    shared: Arc<Shared>,
    node: Api,
    name: String,
    callback: String,
    limited: String,
}

impl Traffic {
    pub async fn start(fleet: &Fleet, callback: &str, round: usize) -> Self {
        let limited = json!({"max_hits": HITS});
        let limited = fleet.nodes[0].token("GET", "k").with(limited).await;
        let mut traffic = Self {
            shared: Arc::default(),
            steps: Vec::new(),
            clients: JoinSet::new(),
            limited: limited.clone(),
        };
        for (n, node) in fleet.clients().into_iter().enumerate() {
            for task in 0..3 {
                let client = Client {
                    shared: Arc::clone(&traffic.shared),
                    node: node.clone(),
                    name: format!("{round}-{n}-{task}"),
                    callback: callback.to_owned(),
                    limited: limited.clone(),
                };
                let steps = Arc::<AtomicUsize>::default();
                traffic.steps.push(Arc::clone(&steps));
                traffic.clients.spawn(async move {
                    let mut turn = 0;
                    while !client.shared.stop.load(SeqCst) {
                        turn += 1;
                        client.step(turn).await;
                        steps.store(turn, SeqCst);
                    }
                });
            }
        }
        traffic
    }

    /// Waits until every client has done `steps` steps.
    pub async fn wait_for(&self, steps: usize) {
        until("enough has happened", async || {
            self.steps.iter().all(|done| done.load(SeqCst) >= steps)
        })
        .await;
    }

    pub fn is_away(&self, away: bool) {
        self.shared.away.store(away, SeqCst);
    }

    pub fn longest_away(&self) -> Duration {
        assert!(self.shared.answered_away.load(SeqCst) > 50);
        *self.shared.longest_away.lock()
    }

    /// Stops the clients, and checks on every node that everything acknowledged is there.
    pub async fn end(mut self, fleet: &Fleet, receiver: &CallbackReceiver) {
        let shared = Arc::clone(&self.shared);
        let enough = self.steps.iter().map(|done| done.load(SeqCst)).max();
        self.wait_for(enough.unwrap() + 3).await;
        shared.stop.store(true, SeqCst);
        while let Some(client) = self.clients.join_next().await {
            client.unwrap();
        }
        let kept = std::mem::take(&mut *shared.kept.lock());
        let revoked = std::mem::take(&mut *shared.revoked.lock());
        let uploaded = std::mem::take(&mut *shared.uploaded.lock());
        let counts = (kept.len(), revoked.len(), uploaded.len());
        eprintln!("kept, revoked, uploaded: {counts:?}");
        assert!(kept.len() > 20 && revoked.len() > 20 && uploaded.len() > 20);
        for (n, token) in kept.iter().enumerate() {
            assert_eq!(fleet.nodes[n % 3].get(token).await.status, 200);
        }
        for (n, token) in revoked.iter().enumerate() {
            let refused = fleet.nodes[n % 3].get(token).await;
            refused.assert_error(404, "token_not_found");
        }
        let delivered = shared.delivered.load(SeqCst) as u64;
        let used = fleet.nodes[1].used_hits(&self.limited).await;
        assert!(delivered <= used && used <= HITS, "{delivered}, {used}");
        for key in &uploaded {
            assert_eq!(fleet.stored(key), Some(key.clone().into_bytes()));
        }
        all_reported(receiver, uploaded).await;
    }
}

/// This includes events that a node had claimed when Redis died, without learning of it.
async fn all_reported(receiver: &CallbackReceiver, mut keys: Vec<String>) {
    let began = Instant::now();
    while !keys.is_empty() {
        assert!(began.elapsed() < REPORTED_BY, "not reported: {keys:?}");
        let received = receiver.received();
        let reported: BTreeSet<&str> = received
            .iter()
            .filter_map(|event| event["key"].as_str())
            .collect();
        keys.retain(|key| !reported.contains(key.as_str()));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    eprintln!("all are reported after {:?}", began.elapsed());
}

impl Client {
    /// Creates a token, revokes or keeps it, uses a hit and uploads.
    async fn step(&self, turn: usize) {
        let made = json!({"bucket": "local", "key": "k", "method": "GET"});
        let made = self.control("POST", "/token").json(&made);
        if let Some(made) = self.done(made, 201).await {
            let token = made.json()["token"].as_str().unwrap().to_owned();
            if turn.is_multiple_of(2) {
                let revoke = self.control("DELETE", &format!("/token/{token}"));
                if self.done(revoke, 204).await.is_some() {
                    self.shared.revoked.lock().push(token);
                }
            } else {
                self.shared.kept.lock().push(token);
            }
        }
        let hit = self.node.object("GET", &self.limited);
        if self.done(hit, 200).await.is_some() {
            self.shared.delivered.fetch_add(1, SeqCst);
        }
        self.upload(&format!("up-{}-{turn}", self.name)).await;
    }

    async fn upload(&self, key: &str) {
        let made =
            json!({"bucket": "local", "key": key, "method": "PUT", "callback": self.callback});
        let made = self.control("POST", "/token").json(&made);
        if let Some(made) = self.done(made, 201).await {
            let made = made.json();
            let token = made["token"].as_str().unwrap();
            let put = self.node.object("PUT", token).body(key.to_owned());
            if self.done(put, 200).await.is_some() {
                self.shared.uploaded.lock().push(key.to_owned());
            }
        }
    }

    fn control(&self, method: &str, path: &str) -> RequestBuilder {
        self.node.control(method, path)
    }

    /// The answer, if it is a success.
    async fn done(&self, request: RequestBuilder, success: u16) -> Option<Answer> {
        let was_away = self.shared.away.load(SeqCst);
        let began = Instant::now();
        let answer = answer(request).await;
        if answer.status == success {
            return Some(answer);
        }
        if answer.status == 503 {
            answer.assert_error(503, "unavailable");
            assert!(answer.header("retry-after").is_some());
            if was_away && self.shared.away.load(SeqCst) {
                self.shared.note_away(began.elapsed());
                // A client waits for `Retry-After`, which is longer.
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        } else {
            answer.assert_error(409, "hits_exceeded");
        }
        None
    }
}
