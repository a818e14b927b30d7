//! Downloads through tokens with and without a limit, with and without a callback.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

use serde_json::json;

use super::{content, token};
use crate::support::api::{Api, try_answer, until};
use crate::support::callback_receiver::CallbackReceiver;
use crate::support::gateway::Gateway;

const KEY: &str = "seed.bin";
const SEED: u64 = 1;
const LENGTH: usize = 150_000;
/// The first are used up soon, the last never.
const LIMITS: [i64; 5] = [3, 20, 100, 10_000, -1];

/// Tokens for one object, and what clients saw of them across all restarts of the gateway.
pub(super) struct Downloads(Vec<Counted>);

struct Counted {
    token: String,
    token_id: String,
    max_hits: i64,
    has_callback: bool,
    attempts: AtomicU64,
    /// Refused because all hits were used or reserved.
    refused: AtomicU64,
    /// The whole object arrived.
    delivered: AtomicU64,
}

impl Downloads {
    pub(super) async fn prepare(gateway: &Gateway, receiver: &CallbackReceiver) -> Arc<Self> {
        gateway.place(KEY, content(SEED, LENGTH));
        let mut tokens = Vec::new();
        for (max_hits, has_callback) in LIMITS.into_iter().flat_map(|n| [(n, false), (n, true)]) {
            let mut fields = token("GET", KEY, max_hits);
            if has_callback {
                fields["callback"] = json!(receiver.url());
            }
            let created = gateway.create(fields).await.json();
            tokens.push(Counted {
                token: created["token"].as_str().unwrap().to_owned(),
                token_id: created["token_id"].as_str().unwrap().to_owned(),
                max_hits,
                has_callback,
                attempts: AtomicU64::new(0),
                refused: AtomicU64::new(0),
                delivered: AtomicU64::new(0),
            });
        }
        Arc::new(Self(tokens))
    }

    /// Downloads until the process is gone, each task from another token on.
    pub(super) async fn work(self: Arc<Self>, gateway: Api, first: usize, progress: impl Fn()) {
        for one in self.0.iter().cycle().skip(first) {
            match one.download(&gateway).await {
                Seen::Delivered => progress(),
                Seen::Refused => {}
                Seen::Gone => break,
            }
        }
    }

    /// The hits are between what clients had and what they can have been admitted to.
    pub(super) async fn check(&self, gateway: &Api) {
        for one in &self.0 {
            let used = gateway.used_hits(&one.token).await;
            let delivered = one.delivered.load(SeqCst);
            let admitted = one.attempts.load(SeqCst) - one.refused.load(SeqCst);
            assert!(used <= admitted, "{used} hits, {admitted} admitted");
            if let Ok(max_hits) = u64::try_from(one.max_hits) {
                assert!(delivered <= used, "{delivered} deliveries, {used} hits");
                assert!(used <= max_hits, "{used} hits of {max_hits}");
            }
        }
    }

    /// Uses up what is left of the small limits: never more deliveries than hits.
    pub(super) async fn drain(&self, gateway: &Api) {
        for one in self
            .0
            .iter()
            .filter(|one| (1..=100).contains(&one.max_hits))
        {
            while one.download(gateway).await == Seen::Delivered {}
            assert_eq!(gateway.used_hits(&one.token).await, one.max_hits as u64);
        }
        self.check(gateway).await;
    }

    /// No counted hit goes unreported, and none is reported twice under two ids.
    pub(super) async fn check_events(&self, receiver: &CallbackReceiver, gateway: &Api) {
        for one in self
            .0
            .iter()
            .filter(|one| one.has_callback && one.max_hits > 0)
        {
            let used = gateway.used_hits(&one.token).await;
            let about = |event: &serde_json::Value| event["token_id"] == one.token_id.as_str();
            let what = format!("each of {used} hits is reported");
            until(&what, async || {
                let events = receiver.ids(about).len() as u64;
                assert!(events <= used, "{events} events for {used} hits");
                events == used
            })
            .await;
        }
    }

    /// Complete deliveries through the unlimited tokens, and their counted hits.
    pub(super) async fn unlimited(&self, gateway: &Api) -> Vec<(u64, u64)> {
        let mut found = Vec::new();
        for one in self.0.iter().filter(|one| one.max_hits < 0) {
            let used = gateway.used_hits(&one.token).await;
            found.push((one.delivered.load(SeqCst), used));
        }
        found
    }

    /// Downloads each unlimited token `times` times.
    pub(super) async fn download_unlimited(&self, gateway: &Api, times: u64) {
        for one in self.0.iter().filter(|one| one.max_hits < 0) {
            for _ in 0..times {
                assert!(one.download(gateway).await == Seen::Delivered);
            }
        }
    }
}

#[derive(PartialEq, Eq)]
enum Seen {
    Delivered,
    Refused,
    Gone,
}

impl Counted {
    async fn download(&self, gateway: &Api) -> Seen {
        self.attempts.fetch_add(1, SeqCst);
        let Ok(answer) = try_answer(gateway.object("GET", &self.token)).await else {
            return Seen::Gone;
        };
        match answer.status {
            200 => {
                assert!(answer.body == content(SEED, LENGTH), "other bytes");
                self.delivered.fetch_add(1, SeqCst);
                Seen::Delivered
            }
            409 => {
                self.refused.fetch_add(1, SeqCst);
                Seen::Refused
            }
            _ => panic!("{answer:?}"),
        }
    }
}
