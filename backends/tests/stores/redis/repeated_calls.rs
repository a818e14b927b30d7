//! A script that Redis runs twice counts once.

use asset_gateway_backends::conformance::fixture::{
    DEFAULT_LIMITS, Fixture, LEASE, id, ms, report, request,
};
use asset_gateway_backends::event::Outcome;
use asset_gateway_backends::token_store::{
    Access, Charged, Created, HitOn, LeaseState, Method, Patch, Refusal,
};

use super::support::monitor::{commands, twice};
use super::support::server::{Server, fixture};

fn node(server: &Server) -> Fixture {
    fixture(server.node(DEFAULT_LIMITS))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn counted_hits_count_once() {
    let server = Server::start();
    let f = node(&server);
    let record = f.reported(Method::Get, 3);
    let created = twice(&server, f.stores.tokens.create(vec![(id(1), record)])).await;
    assert_eq!(created.unwrap(), Created::Done);
    let first = twice(&server, f.admit(id(1), Access::Get)).await;
    assert_eq!(f.used(id(1)).await, 1);
    let second = f.admit(id(1), Access::Get).await;
    twice(&server, f.stores.tokens.release(first, 0, None))
        .await
        .unwrap();
    assert_eq!(f.used(id(1)).await, 1);
    let report = report(Outcome::Complete);
    twice(&server, f.stores.tokens.commit(second, report))
        .await
        .unwrap();
    assert_eq!(f.used(id(1)).await, 1);
    assert_eq!(f.take_events().await.len(), 1);
    let patch = Patch {
        max_hits: Some(Some(1)),
        ..Patch::default()
    };
    twice(&server, f.stores.tokens.patch(id(1), patch))
        .await
        .unwrap();
    assert_eq!(f.refusal(id(1), Access::Get).await, Refusal::HitsExceeded);
    assert!(twice(&server, f.stores.tokens.delete(id(1))).await.unwrap());
    assert_eq!(f.refusal(id(1), Access::Get).await, Refusal::NotFound);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_window_opens_once() {
    let server = Server::start();
    let f = node(&server);
    let mut record = f.limited(Method::Get, 1);
    record.hit_window_seconds = Some(60);
    f.create(id(1), record).await;
    // A hit with a ride on it would not be released.
    let counted = twice(&server, f.admit(id(1), Access::Get)).await;
    f.stores.tokens.release(counted, 0, None).await.unwrap();
    assert_eq!(f.used(id(1)).await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leased_hits_count_once() {
    let server = Server::start();
    let f = node(&server);
    f.create(id(1), f.reported(Method::Put, 2)).await;
    let upload = twice(&server, f.admit(id(1), Access::Put)).await;
    let other = f.admit(id(1), Access::Put).await;
    twice(
        &server,
        f.stores.tokens.finalise(&upload, f.intent(), LEASE),
    )
    .await
    .unwrap();
    let report = report(Outcome::Complete);
    let lease = twice(&server, f.stores.tokens.commit(upload, report)).await;
    assert_eq!(lease.unwrap(), LeaseState::Held);
    assert_eq!(f.used(id(1)).await, 1);
    assert_eq!(f.take_events().await.len(), 1);
    twice(&server, f.stores.tokens.release(other, 0, None))
        .await
        .unwrap();
    f.admit(id(1), Access::Put).await;
    assert_eq!(f.refusal(id(1), Access::Put).await, Refusal::HitsExceeded);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn charges_and_unlimited_hits_count_once() {
    let server = Server::start();
    let f = node(&server);
    let mut record = f.limited(Method::Get, 1);
    record.hit_on = HitOn::Complete;
    f.create(id(1), record).await;
    let mut wanted = request(Access::Get);
    wanted.lease = ms(10_000);
    let held = f.admit_with(id(1), &wanted).await;
    twice(&server, f.stores.tokens.charge(&held, 60, 100))
        .await
        .unwrap();
    let rest = f.stores.tokens.charge(&held, 40, 100).await;
    assert_eq!(rest.unwrap(), Charged::Done);
    f.create(id(2), f.record(Method::Get)).await;
    f.admit(id(2), Access::Get).await;
    twice(&server, f.stores.tokens.flush_usage()).await.unwrap();
    assert_eq!(f.used(id(2)).await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_are_queued_and_retried_once() {
    let server = Server::start();
    let f = node(&server);
    let event = f.event("a");
    twice(&server, f.stores.callbacks.enqueue(event.clone()))
        .await
        .unwrap();
    assert_eq!(f.stores.callbacks.claim(9, LEASE).await.unwrap().len(), 1);
    let attempt = f.attempt("connect");
    let now = f.now_ms();
    let retried = f.stores.callbacks.retry(&event.id, attempt, now);
    twice(&server, retried).await.unwrap();
    let claimed = f.stores.callbacks.claim(9, LEASE).await.unwrap();
    assert_eq!((claimed.len(), claimed[0].attempts.len()), (1, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_counted_download_is_one_round_trip() {
    let server = Server::start();
    let f = node(&server);
    f.create(id(1), f.limited(Method::Get, 9)).await;
    // Loads the script.
    f.admit(id(1), Access::Get).await;
    let (_, commands) = commands(&server, f.admit(id(1), Access::Get)).await;
    let token = id(1).to_string();
    let of_token = commands
        .iter()
        .filter(|command| command.iter().any(|arg| arg == token.as_bytes()));
    assert_eq!(of_token.count(), 1, "{commands:?}");
}
