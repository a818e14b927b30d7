//! Two gateways on one Redis.

use asset_gateway_backends::conformance::fixture::{
    DEFAULT_LIMITS, Fixture, LEASE, id, ms, report, request,
};
use asset_gateway_backends::event::Outcome;
use asset_gateway_backends::token_store::{Access, HitOn, Method, Refusal, Reserved};
use futures_util::future::join_all;

use super::support::server::{Server, fixture};

fn two_nodes(server: &Server) -> (Fixture, Fixture) {
    let node = || fixture(server.node(DEFAULT_LIMITS));
    (node(), node())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_nodes_together_admit_max_hits() {
    let server = Server::start();
    let (a, b) = two_nodes(&server);
    let mut complete = a.limited(Method::Get, 25);
    complete.hit_on = HitOn::Complete;
    let records = [
        (a.limited(Method::Get, 25), Access::Get),
        (a.limited(Method::Put, 25), Access::Put),
        (complete, Access::Get),
    ];
    for (n, (record, access)) in records.into_iter().enumerate() {
        let id = id(n as u64);
        a.create(id, record).await;
        let attempts = (0..100).flat_map(|_| [&a, &b]).map(|node| {
            let tokens = node.stores.tokens.clone();
            tokio::spawn(async move { tokens.reserve(id, &request(access)).await.unwrap() })
        });
        let all = join_all(attempts).await;
        let admitted = all
            .iter()
            .filter(|reserved| matches!(reserved, Ok(Reserved::Admitted { .. })));
        assert_eq!(admitted.count(), 25);
    }
}

#[tokio::test]
async fn a_revoked_token_is_refused_by_the_other_node() {
    let server = Server::start();
    let (a, b) = two_nodes(&server);
    a.create(id(1), a.record(Method::Get)).await;
    a.create(id(2), a.limited(Method::Put, 1)).await;
    b.admit(id(1), Access::Get).await;
    let upload = b.admit(id(2), Access::Put).await;
    for token in [id(1), id(2)] {
        assert!(a.stores.tokens.delete(token).await.unwrap());
    }
    assert_eq!(b.refusal(id(1), Access::Get).await, Refusal::NotFound);
    let lost = b.stores.tokens.commit(upload, report(Outcome::Complete));
    assert_eq!(
        lost.await.unwrap(),
        asset_gateway_backends::token_store::LeaseState::Lost
    );
    // Buffered hits of the deleted token do not count for the new one.
    a.create(id(1), a.record(Method::Get)).await;
    b.stores.tokens.flush_usage().await.unwrap();
    assert_eq!(a.used(id(1)).await, 0);
}

#[tokio::test]
async fn unlimited_hits_of_two_nodes_add_up() {
    let server = Server::start();
    let (a, b) = two_nodes(&server);
    a.create(id(1), a.record(Method::Get)).await;
    for node in [&a, &b, &b] {
        node.admit(id(1), Access::Get).await;
    }
    a.stores.tokens.flush_usage().await.unwrap();
    b.stores.tokens.flush_usage().await.unwrap();
    assert_eq!((a.used(id(1)).await, b.used(id(1)).await), (3, 3));
}

#[tokio::test]
async fn an_upload_of_one_node_is_recovered_by_the_other() {
    let server = Server::start();
    let (a, b) = two_nodes(&server);
    a.create(id(1), a.limited(Method::Put, 1)).await;
    let upload = a.admit(id(1), Access::Put).await;
    let marker = upload.marker();
    let tokens = &a.stores.tokens;
    tokens.finalise(&upload, a.intent(), LEASE).await.unwrap();
    a.advance(ms(600)).await;
    let mut unsettled = b.stores.tokens.sweep(LEASE).await.unwrap();
    let taken_over = unsettled.pop().unwrap().reservation;
    assert_eq!(taken_over.marker(), marker);
    let outcome = report(Outcome::Complete);
    b.stores
        .tokens
        .commit(taken_over, outcome.clone())
        .await
        .unwrap();
    tokens.release(upload, 0, None).await.unwrap();
    assert_eq!(a.used(id(1)).await, 1);
}

#[tokio::test]
async fn an_event_is_claimed_by_one_node_once() {
    let server = Server::start();
    let (a, b) = two_nodes(&server);
    for n in 0..40 {
        let event = a.event(&n.to_string());
        a.stores.callbacks.enqueue(event).await.unwrap();
    }
    let (one, other) = tokio::join!(a.take_events(), b.take_events());
    let mut keys: Vec<_> = one.into_iter().chain(other).map(|e| e.key).collect();
    assert_eq!(keys.len(), 40);
    keys.sort_unstable();
    keys.dedup();
    assert_eq!(keys.len(), 40);
}
