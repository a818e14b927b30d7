//! What takes a look inside, or more patience than a test has: nodes that die.
#![allow(clippy::unwrap_used)]

use std::net::{Ipv4Addr, TcpListener};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::RedisStore;
use crate::callback_queue::{CallbackQueue, CallerRef, Outcome, Report};
use crate::settings::{QueueLimits, RedisSettings};
use crate::token_store::{
    Access, Method, Reservation, ReserveRequest, Reserved, TokenId, TokenRecord, TokenStore,
};

const MISSED_FOR: Duration = Duration::from_millis(200);
const ID: TokenId = TokenId([7; 16]);

struct Server(Child, u16);

impl Drop for Server {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Server {
    fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let server = Command::new("redis-server")
            .args(["--port", &port.to_string(), "--save", ""])
            .stdout(Stdio::null())
            .spawn()
            .expect("redis-server is installed: apt install redis-server");
        Self(server, port)
    }

    async fn node(&self, report_incomplete: bool) -> RedisStore {
        let settings = RedisSettings {
            addresses: vec![format!("127.0.0.1:{}", self.1)],
            ..RedisSettings::default()
        };
        let limits = QueueLimits {
            report_incomplete,
            ..QueueLimits::default()
        };
        let node = RedisStore::with_patience(&settings, limits, MISSED_FOR).unwrap();
        while node.ping().await.is_err() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        node
    }
}

async fn download(node: &RedisStore) -> Reservation {
    let request = ReserveRequest {
        access: Access::Get,
        declared_size: None,
        rules_checked: None,
        lease: Duration::from_secs(60),
        caller: CallerRef {
            request_id: "req-1",
            client_ip: Ipv4Addr::LOCALHOST.into(),
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

/// Its downloads are ended by another node, those of the living are not.
async fn a_node_dies(report_incomplete: bool) -> Vec<Outcome> {
    let server = Server::start();
    let dying = server.node(report_incomplete).await;
    let living = server.node(report_incomplete).await;
    let sweeper = server.node(report_incomplete).await;
    let mut record = TokenRecord::new("bucket", "key", Method::Get, 0, u64::MAX / 2);
    record.callback = Some("https://back.example.com/hook".into());
    record.max_hits = Some(200);
    sweeper.create(vec![(ID, record)]).await.unwrap();
    for _ in 0..120 {
        download(&dying).await;
    }
    let last = download(&dying).await;
    let under_way = download(&living).await;
    for node in [&dying, &living] {
        node.0.show_life().await.unwrap();
    }
    sweep(&sweeper).await;
    // It stays, but says nothing any more.
    dying.0.end_life().await.unwrap();
    sweep(&sweeper).await;
    assert!(outcomes(&sweeper).await.is_empty(), "too early");
    tokio::time::sleep(MISSED_FOR + Duration::from_millis(50)).await;
    sweep(&sweeper).await;
    let ended = outcomes(&sweeper).await;
    // It lives after all: too late.
    let complete = report(Outcome::Complete);
    dying.commit(last, complete.clone()).await.unwrap();
    assert!(outcomes(&sweeper).await.is_empty());
    living.commit(under_way, complete).await.unwrap();
    // Queued by another node: seen at the next look everywhere.
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(outcomes(&sweeper).await, [Outcome::Complete]);
    assert_eq!(sweeper.get(ID).await.unwrap().unwrap().used_hits, 122);
    ended
}

#[tokio::test]
async fn downloads_of_a_dead_node_are_interrupted() {
    assert_eq!(a_node_dies(true).await, [Outcome::Interrupted; 121]);
}

#[tokio::test]
async fn or_dropped_where_nobody_wants_to_know() {
    assert!(a_node_dies(false).await.is_empty());
}
