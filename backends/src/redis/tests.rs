//! Tests that need shorter time limits or see the inside: nodes that die, long outages.
#![allow(clippy::unwrap_used)]

mod dead_nodes;
mod long_outages;
#[allow(dead_code, reason = "the tests of the stores need more of it")]
#[path = "../../tests/stores/redis/support/server.rs"]
mod server;

use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use super::{OutageTimeouts, RedisStore};
use crate::callback_queue::CallbackQueue;
use crate::caller::CallerRef;
use crate::event::{Outcome, Report};
use crate::settings::QueueLimits;
use crate::token_store::{
    Access, Method, Reservation, ReserveRequest, Reserved, TokenId, TokenRecord, TokenStore,
};

use server::Server;

const ID: TokenId = TokenId([7; 16]);
const DEAD_AFTER: Duration = Duration::from_millis(200);
const RETRY_DELAYS_MS: &[u64] = &[50, 100, 200];
/// Longer than all of [`RETRY_DELAYS_MS`].
const LONG_OUTAGE: Duration = Duration::from_secs(2);
const TIMEOUT: Duration = Duration::from_secs(10);

async fn start_node(server: &Server, report_incomplete: bool) -> RedisStore {
    let limits = QueueLimits {
        report_incomplete,
        ..QueueLimits::default()
    };
    let timeouts = OutageTimeouts {
        dead_after: DEAD_AFTER,
        retry_delays_ms: RETRY_DELAYS_MS,
    };
    let node = RedisStore::with_timeouts(&server.settings(), limits, timeouts).unwrap();
    wait_until_reachable(&node).await;
    node
}

async fn wait_until_reachable(node: &RedisStore) {
    let began = Instant::now();
    while let Err(error) = node.ping().await {
        assert!(began.elapsed() < TIMEOUT, "{error}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Waits until the retry queue is empty.
async fn wait_for_retries(node: &RedisStore) {
    let began = Instant::now();
    while node.0.retry_queue.len() > 0 {
        assert!(
            began.elapsed() < TIMEOUT,
            "{} left",
            node.0.retry_queue.len()
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A token with a callback and more hits than a test uses.
async fn create(node: &RedisStore) {
    let mut record = TokenRecord::new("bucket", "key", Method::Get, 0, u64::MAX / 2);
    record.callback = Some("https://back.example.com/hook".into());
    record.max_hits = Some(200);
    node.create(vec![(ID, record)]).await.unwrap();
}

async fn download(node: &RedisStore) -> Reservation {
    let request = ReserveRequest {
        access: Access::Get,
        declared_size: None,
        rules_checked: None,
        lease: Duration::from_secs(60),
        caller: CallerRef {
            request_id: "req-1",
            client_ip: IpAddr::from(Ipv4Addr::LOCALHOST).into(),
            user_agent: "curl/8.7.1",
            referer: "",
            range: "",
        },
    };
    match node.reserve(ID, &request).await.unwrap() {
        Reserved::Admitted { reservation, .. } => reservation,
        other @ (Reserved::CheckRules { .. } | Reserved::Refused(_)) => panic!("{other:?}"),
    }
}

fn report(outcome: Outcome) -> Report {
    Report {
        outcome,
        status: 200,
        size: 1,
        etag: String::new(),
        content_type: "text/plain".into(),
    }
}

async fn outcomes(node: &RedisStore) -> Vec<Outcome> {
    let claimed = node.claim(1000, Duration::from_secs(60)).await.unwrap();
    claimed.iter().map(|c| c.event.report.outcome).collect()
}

async fn sweep(node: &RedisStore) {
    let unsettled = node.sweep(Duration::from_secs(60)).await.unwrap();
    assert!(unsettled.is_empty());
}
