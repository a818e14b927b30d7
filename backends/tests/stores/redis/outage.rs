//! Redis goes away and comes back.

use std::time::{Duration, Instant};

use asset_gateway_backends::ErrorKind;
use asset_gateway_backends::conformance::fixture::{Fixture, id, report};
use asset_gateway_backends::event::Outcome;
use asset_gateway_backends::settings::QueueLimits;
use asset_gateway_backends::token_store::{Access, Method, Refusal};

use super::support::server::{self, Server};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn acknowledged_writes_survive_a_kill() {
    let mut server = Server::durable();
    let f = node(&server);
    f.create(id(1), f.reported(Method::Get, 3)).await;
    let counted = f.admit(id(1), Access::Get).await;
    f.admit(id(1), Access::Get).await;
    f.stores.callbacks.enqueue(f.event("a")).await.unwrap();

    server.kill();
    let mut longest = Duration::ZERO;
    for _ in 0..20 {
        let began = Instant::now();
        let error = f.stores.tokens.get(id(1)).await.unwrap_err();
        longest = longest.max(began.elapsed());
        assert_eq!(error.kind, ErrorKind::Unavailable, "{error}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(longest < Duration::from_millis(500), "{longest:?}");

    server.restart();
    let back = Instant::now();
    while f.stores.tokens.ping().await.is_err() {
        assert!(back.elapsed() < Duration::from_secs(2));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(f.used(id(1)).await, 2);
    f.stores.tokens.release(counted, 0, None).await.unwrap();
    f.admit(id(1), Access::Get).await;
    f.admit(id(1), Access::Get).await;
    assert_eq!(f.refusal(id(1), Access::Get).await, Refusal::HitsExceeded);
    assert_eq!(f.take_events().await.len(), 1);
}

/// Without a request the pings find the connection broken.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_connection_is_replaced() {
    let mut server = Server::durable();
    let stores = server.node(QueueLimits::default());
    stores.tokens.ping().await.unwrap();
    server.kill();
    tokio::time::sleep(Duration::from_millis(700)).await;
    server.restart();
    tokio::time::sleep(Duration::from_secs(2)).await;
    stores.tokens.ping().await.unwrap();
}

/// It accepts connections and does not answer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_hangs_is_soon_unavailable() {
    let server = Server::start();
    let stores = server.node(QueueLimits::default());
    stores.tokens.ping().await.unwrap();
    server.signal("STOP");
    let began = Instant::now();
    let mut last = Duration::MAX;
    while last > Duration::from_millis(100) {
        let asked = Instant::now();
        let error = stores.tokens.get(id(1)).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Unavailable, "{error}");
        last = asked.elapsed();
        assert!(last < Duration::from_millis(2_500), "{last:?}");
        assert!(
            began.elapsed() < Duration::from_secs(6),
            "requests still wait"
        );
    }
    server.signal("CONT");
    let back = Instant::now();
    while stores.tokens.ping().await.is_err() {
        assert!(back.elapsed() < Duration::from_secs(2));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn node(server: &Server) -> Fixture {
    server::fixture(server.node(QueueLimits::default()))
}

async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let began = Instant::now();
    while !holds().await {
        assert!(began.elapsed() < Duration::from_secs(20), "never: {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commits_and_releases_are_written_after_an_outage() {
    let mut server = Server::durable();
    let f = node(&server);
    f.create(id(1), f.reported(Method::Get, 3)).await;
    let complete = f.admit(id(1), Access::Get).await;
    let failed = f.admit(id(1), Access::Get).await;
    server.kill();
    let tokens = &f.stores.tokens;
    let lost = tokens.commit(complete, report(Outcome::Complete)).await;
    assert_eq!(lost.unwrap_err().kind, ErrorKind::Unavailable);
    let lost = tokens.release(failed, 0, None).await;
    assert_eq!(lost.unwrap_err().kind, ErrorKind::Unavailable);
    tokio::time::sleep(Duration::from_millis(300)).await;
    server.restart();
    until(
        "the hit is released",
        async || matches!(tokens.get(id(1)).await, Ok(Some(token)) if token.used_hits == 1),
    )
    .await;
    let mut events = Vec::new();
    until("the event is queued", async || {
        events.extend(f.take_events().await);
        !events.is_empty()
    })
    .await;
    assert_eq!(events.len(), 1);
    let open = server.cli(&["KEYS", "ag:*:o:*"]);
    assert_eq!(open.trim(), "", "no open event is left");
}

/// Redis runs the scripts after the time limit: no caller has the token, or the hit.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn scripts_that_run_after_the_time_limit_are_undone() {
    let server = Server::start();
    let f = node(&server);
    f.create(id(1), f.limited(Method::Get, 1)).await;
    server.signal("STOP");
    let made = f.stores.tokens.create(vec![(id(2), f.record(Method::Get))]);
    let request = asset_gateway_backends::conformance::fixture::request(Access::Get);
    let reserved = f.stores.tokens.reserve(id(1), &request);
    let (made, reserved) = tokio::join!(made, reserved);
    assert_eq!(made.unwrap_err().kind, ErrorKind::Unavailable);
    assert_eq!(reserved.unwrap_err().kind, ErrorKind::Unavailable);
    server.signal("CONT");
    until("token and hit are gone", async || {
        let token = f.stores.tokens.get(id(2)).await;
        let hit = f.stores.tokens.get(id(1)).await;
        matches!(token, Ok(None)) && matches!(hit, Ok(Some(token)) if token.used_hits == 0)
    })
    .await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(f.used(id(1)).await, 0);
    f.admit(id(1), Access::Get).await;
}
