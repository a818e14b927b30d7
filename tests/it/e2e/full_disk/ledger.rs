//! A record of acknowledged operations, and of those with an unknown result.

use std::collections::BTreeMap;
use std::future::IntoFuture;

use futures_util::future::join_all;
use serde_json::json;

use crate::support::api::{answer, until};
use crate::support::gateway::Gateway;

const HITS: u64 = 1000;
const BULKY: usize = 16;
/// Concurrent clients, whose writes share batches.
const CLIENTS: usize = 4;

/// A token whose creation was acknowledged.
#[derive(Clone, Copy)]
struct Known {
    /// Downloads that were delivered.
    delivered: u64,
    /// Downloads that were refused while the disk was full and may have been counted.
    doubtful: u64,
    revoked: Revoked,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Revoked {
    No,
    /// The revocation was refused and may be in force.
    Perhaps,
    Yes,
}

#[derive(Default)]
pub(super) struct Ledger {
    /// By `token_id`.
    known: BTreeMap<String, Known>,
    made: u64,
    /// Tokens whose changes fill the store's log.
    bulky: Vec<String>,
}

/// A client's token, and whether the disk refused a write.
struct Done {
    token: Option<(String, Known)>,
    refused: bool,
}

/// Creates a token, downloads through it, and revokes every third one.
async fn one(gateway: &Gateway, number: u64) -> Done {
    let fields = json!({"key": "k", "method": "GET", "max_hits": HITS, "tags": ["ledger"]});
    let made = gateway.create(fields).await;
    if made.status != 201 {
        made.assert_error(503, "unavailable");
        return Done {
            token: None,
            refused: true,
        };
    }
    let (token, id) = (
        made.json()["token"].clone(),
        made.json()["token_id"].clone(),
    );
    let (token, id) = (token.as_str().unwrap(), id.as_str().unwrap().to_owned());
    let mut known = Known {
        delivered: 0,
        doubtful: 0,
        revoked: Revoked::No,
    };
    let mut refused = false;
    for _ in 0..2 {
        let got = gateway.get(token).await;
        match got.status {
            200 => known.delivered += 1,
            503 => {
                known.doubtful += 1;
                refused = true;
            }
            other => panic!("{other}: {got:?}"),
        }
    }
    if number.is_multiple_of(3) {
        let revoke = gateway.control("DELETE", &format!("/token/{token}"));
        known.revoked = match answer(revoke).await.status {
            204 => Revoked::Yes,
            503 => Revoked::Perhaps,
            other => panic!("{other}"),
        };
        refused |= known.revoked == Revoked::Perhaps;
    }
    Done {
        token: Some((id, known)),
        refused,
    }
}

impl Ledger {
    async fn step(&mut self, gateway: &Gateway) -> bool {
        let first = self.made;
        self.made += CLIENTS as u64;
        let done = join_all((first..self.made).map(|number| one(gateway, number))).await;
        let refused = done.iter().any(|done| done.refused);
        self.known
            .extend(done.into_iter().filter_map(|done| done.token));
        refused
    }

    pub(super) async fn work(&mut self, gateway: &Gateway, steps: usize) {
        if self.bulky.is_empty() {
            let made = (0..BULKY).map(|_| gateway.token("GET", "bulky").into_future());
            self.bulky = join_all(made).await;
        }
        for _ in 0..steps {
            assert!(!self.step(gateway).await, "refused: {}", gateway.log());
        }
    }

    /// Also uses up the space that the store allocates at its start.
    pub(super) async fn work_until_refused(&mut self, gateway: &Gateway) {
        let mut turn = 0;
        while !self.step(gateway).await {
            turn += 1;
            let content = format!("{turn:02000}");
            join_all(self.bulky.iter().map(|token| {
                let change = gateway.control("PATCH", &format!("/token/{token}"));
                answer(change.json(&json!({"metadata": {"content": content}})))
            }))
            .await;
        }
    }

    pub(super) async fn until_accepted(&mut self, gateway: &Gateway) {
        until("writes are accepted again", async || {
            !self.step(gateway).await
        })
        .await;
    }

    /// Every acknowledged token is in a possible state.
    pub(super) async fn check(&self, gateway: &Gateway, round: u64) {
        let mut shown = BTreeMap::new();
        let mut cursor = String::new();
        loop {
            let path = format!("/tokens?tag=ledger&limit=1000{cursor}");
            let page = answer(gateway.control("GET", &path)).await;
            assert_eq!(page.status, 200, "{page:?}");
            let page = page.json();
            for token in page["tokens"].as_array().unwrap() {
                let id = token["token_id"].as_str().unwrap().to_owned();
                shown.insert(id, token["used_hits"].as_u64().unwrap());
            }
            match page["cursor"].as_str() {
                Some(next) if !next.is_empty() => cursor = format!("&cursor={next}"),
                _ => break,
            }
        }
        for (id, known) in &self.known {
            let used = shown.get(id);
            match known.revoked {
                Revoked::Yes => assert!(used.is_none(), "round {round}: {id} is back"),
                Revoked::Perhaps if used.is_none() => {}
                Revoked::Perhaps | Revoked::No => {
                    let used = *used.unwrap_or_else(|| panic!("round {round}: {id} is lost"));
                    let possible = known.delivered..=known.delivered + known.doubtful;
                    assert!(
                        possible.contains(&used),
                        "round {round}: {used} of {possible:?}"
                    );
                }
            }
        }
    }
}
