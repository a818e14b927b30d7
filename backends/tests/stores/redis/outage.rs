//! Redis goes away and comes back.

use std::time::{Duration, Instant};

use asset_gateway_backends::ErrorKind;
use asset_gateway_backends::conformance::fixture::{Fixture, Time, id, report};
use asset_gateway_backends::event::Outcome;
use asset_gateway_backends::settings::QueueLimits;
use asset_gateway_backends::token_store::{Access, Method, Refusal};

use super::server::Server;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_said_is_there_after_a_kill() {
    let mut server = Server::durable();
    let f = Fixture {
        stores: server.node(QueueLimits::default()),
        time: Time::Real,
        guard: Box::new(()),
    };
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

/// Nobody has called meanwhile: the connection is found broken all the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_heals_unused() {
    let mut server = Server::durable();
    let stores = server.node(QueueLimits::default());
    stores.tokens.ping().await.unwrap();
    server.kill();
    tokio::time::sleep(Duration::from_millis(700)).await;
    server.restart();
    tokio::time::sleep(Duration::from_secs(2)).await;
    stores.tokens.ping().await.unwrap();
}

/// It takes connections and answers nothing: that is found out in time, and is then as good as away.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_hangs_is_away() {
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
        assert!(began.elapsed() < Duration::from_secs(6), "calls still wait");
    }
    server.signal("CONT");
    let back = Instant::now();
    while stores.tokens.ping().await.is_err() {
        assert!(back.elapsed() < Duration::from_secs(2));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn fixture(server: &Server) -> Fixture {
    Fixture {
        stores: server.node(QueueLimits::default()),
        time: Time::Real,
        guard: Box::new(()),
    }
}

async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let began = Instant::now();
    while !holds().await {
        assert!(began.elapsed() < Duration::from_secs(20), "never: {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// A download ends while Redis is away: its event, or its hit, is written when it is back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_end_of_an_access_is_written_afterwards() {
    let mut server = Server::durable();
    let f = fixture(&server);
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
        "the hit is back",
        async || matches!(tokens.get(id(1)).await, Ok(Some(token)) if token.used_hits == 1),
    )
    .await;
    let mut events = Vec::new();
    until("the event is there", async || {
        events.extend(f.take_events().await);
        !events.is_empty()
    })
    .await;
    assert_eq!(events.len(), 1);
    let open = server.ask(&["KEYS", "ag:*:o:*"]);
    assert_eq!(open.trim(), "", "no open entry is left");
}

/// Redis does what it was asked, and the answer comes too late: nobody was handed the token, nobody
/// had the hit.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_done_after_the_time_limit_is_undone() {
    let server = Server::start();
    let f = fixture(&server);
    f.create(id(1), f.limited(Method::Get, 1)).await;
    server.signal("STOP");
    let made = f.stores.tokens.create(vec![(id(2), f.record(Method::Get))]);
    let request = asset_gateway_backends::conformance::fixture::request(Access::Get);
    let reserved = f.stores.tokens.reserve(id(1), &request);
    let (made, reserved) = tokio::join!(made, reserved);
    assert_eq!(made.unwrap_err().kind, ErrorKind::Unavailable);
    assert_eq!(reserved.unwrap_err().kind, ErrorKind::Unavailable);
    server.signal("CONT");
    until("nothing is left of it", async || {
        let token = f.stores.tokens.get(id(2)).await;
        let hit = f.stores.tokens.get(id(1)).await;
        matches!(token, Ok(None)) && matches!(hit, Ok(Some(token)) if token.used_hits == 0)
    })
    .await;
    // And stays so.
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(f.used(id(1)).await, 0);
    f.admit(id(1), Access::Get).await;
}
