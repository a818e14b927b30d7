//! Claims, and their conclusion: ack, retry, release, dead letter.

use std::time::Instant;

use crate::callback_queue::{Enqueued, QueueStats};
use crate::conformance::fixture::*;
use crate::event::{ClaimedEvent, EventId};
use crate::settings::QueueLimits;

pub const LIMITS: QueueLimits = DEFAULT_LIMITS;

/// Enqueues an event and returns its id.
pub(super) async fn enqueue(f: &Fixture, key: &str) -> EventId {
    let event = f.event(key);
    let id = event.id.clone();
    let enqueued = f.stores.callbacks.enqueue(event).await.unwrap();
    assert_eq!(enqueued, Enqueued::Queued);
    id
}

pub(super) async fn claim(f: &Fixture, max: usize) -> Vec<ClaimedEvent> {
    f.stores.callbacks.claim(max, LEASE).await.unwrap()
}

/// Claims events and returns their keys.
async fn claim_keys(f: &Fixture, max: usize) -> Vec<String> {
    let claimed = claim(f, max).await;
    claimed.into_iter().map(|claim| claim.event.key).collect()
}

pub(super) async fn stats(f: &Fixture) -> QueueStats {
    f.stores.callbacks.stats().await.unwrap()
}

pub async fn an_event_is_claimed_unchanged(f: Fixture) {
    let event = f.event("a");
    f.stores.callbacks.enqueue(event.clone()).await.unwrap();
    let claimed = claim(&f, 10).await.remove(0);
    assert_eq!(claimed.event, event);
    assert!(claimed.attempts.is_empty());
    assert!(claimed.queued_at_ms <= f.now_ms() && claimed.queued_at_ms + 2000 > f.now_ms());
}

pub async fn the_oldest_due_time_comes_first(f: Fixture) {
    let a = enqueue(&f, "a").await;
    f.advance(ms(5)).await;
    enqueue(&f, "b").await;
    f.advance(ms(5)).await;
    let start = f.now_ms();
    assert_eq!(claim_keys(&f, 1).await, ["a"]);
    let later = f.attempt("status_500");
    f.stores
        .callbacks
        .retry(&a, later, start + 200)
        .await
        .unwrap();
    f.advance(ms(5)).await;
    enqueue(&f, "c").await;
    f.advance(ms(250)).await;
    enqueue(&f, "d").await;
    assert_eq!(claim_keys(&f, 3).await.len(), 3);
    f.advance(PAST_LEASE).await;
    assert_eq!(claim_keys(&f, 10).await, ["b", "c", "a", "d"]);
}

pub async fn a_new_event_is_not_delayed_by_a_backlog(f: Fixture) {
    for n in 0..100 {
        enqueue(&f, &n.to_string()).await;
    }
    // All are due again, as after a receiver that is down.
    for claim in claim(&f, 100).await {
        let id = claim.event.id;
        f.stores
            .callbacks
            .release_claim(&id, f.now_ms())
            .await
            .unwrap();
    }
    f.advance(ms(5)).await;
    enqueue(&f, "new").await;
    let keys = claim_keys(&f, 10).await;
    assert_eq!(keys.len(), 10);
    assert!(keys.contains(&"new".to_owned()), "{keys:?}");
    // Claims of one event alternate between both kinds.
    for _ in 0..10 {
        enqueue(&f, "new").await;
    }
    let mut new = 0;
    for _ in 0..10 {
        let keys = claim_keys(&f, 1).await;
        assert_eq!(keys.len(), 1);
        new += usize::from(keys[0] == "new");
    }
    assert_eq!(new, 5);
}

pub async fn an_event_is_claimed_once_until_the_claim_lapses(f: Fixture) {
    for key in ["a", "b", "c"] {
        enqueue(&f, key).await;
        f.advance(ms(5)).await;
    }
    assert_eq!(claim_keys(&f, 2).await, ["a", "b"]);
    assert_eq!(claim_keys(&f, 2).await, ["c"]);
    assert!(claim_keys(&f, 2).await.is_empty());
    f.advance(PAST_LEASE).await;
    assert_eq!(claim_keys(&f, 10).await, ["a", "b", "c"]);
}

pub async fn concurrent_claims_share_no_event(f: Fixture) {
    for n in 0..50 {
        enqueue(&f, &n.to_string()).await;
    }
    let claims = (0..10).map(|_| claim_keys(&f, 10));
    let mut keys = futures_util::future::join_all(claims).await.concat();
    keys.sort_unstable();
    keys.dedup();
    assert_eq!(keys.len(), 50);
}

pub async fn an_acked_event_is_gone(f: Fixture) {
    let a = enqueue(&f, "a").await;
    claim(&f, 1).await;
    f.stores.callbacks.ack(&a).await.unwrap();
    f.advance(PAST_LEASE).await;
    assert!(claim(&f, 1).await.is_empty());
    assert_eq!(stats(&f).await, QueueStats::default());
}

pub async fn a_retried_event_waits_and_keeps_its_attempts(f: Fixture) {
    let a = enqueue(&f, "a").await;
    claim(&f, 1).await;
    let first = f.attempt("status_500");
    let at_ms = f.now_ms() + 300;
    f.stores
        .callbacks
        .retry(&a, first.clone(), at_ms)
        .await
        .unwrap();
    assert!(claim(&f, 1).await.is_empty());
    assert_eq!(stats(&f).await.pending, 1);
    f.advance(ms(350)).await;
    let claimed = claim(&f, 1).await.remove(0);
    assert_eq!(claimed.attempts, std::slice::from_ref(&first));
    let second = f.attempt("timeout");
    f.stores
        .callbacks
        .retry(&a, second.clone(), f.now_ms())
        .await
        .unwrap();
    let claimed = claim(&f, 1).await.remove(0);
    assert_eq!(claimed.attempts, [first, second]);
}

pub async fn a_dead_letter_is_not_claimed(f: Fixture) {
    let a = enqueue(&f, "a").await;
    claim(&f, 1).await;
    let last = f.attempt("status_500");
    f.stores.callbacks.dead_letter(&a, last).await.unwrap();
    f.advance(PAST_LEASE).await;
    assert!(claim(&f, 1).await.is_empty());
    let dead = QueueStats {
        dead: 1,
        ..QueueStats::default()
    };
    assert_eq!(stats(&f).await, dead);
}

pub async fn calls_on_unknown_events_have_no_effect(f: Fixture) {
    let a = enqueue(&f, "a").await;
    f.stores.callbacks.ack(&a).await.unwrap();
    let gone = [
        a,
        EventId::generate(),
        EventId::from_string("nonsense".into()),
    ];
    for id in &gone {
        let callbacks = &f.stores.callbacks;
        callbacks.ack(id).await.unwrap();
        callbacks
            .retry(id, f.attempt("timeout"), f.now_ms())
            .await
            .unwrap();
        callbacks
            .dead_letter(id, f.attempt("timeout"))
            .await
            .unwrap();
    }
    assert!(claim(&f, 1).await.is_empty());
    assert_eq!(stats(&f).await, QueueStats::default());
}

pub async fn stats_count_pending_events_and_their_age(f: Fixture) {
    assert_eq!(stats(&f).await, QueueStats::default());
    let a = enqueue(&f, "a").await;
    f.advance(ms(300)).await;
    enqueue(&f, "b").await;
    claim(&f, 1).await;
    let counts = stats(&f).await;
    assert_eq!((counts.pending, counts.dead), (2, 0));
    assert!((300..2000).contains(&counts.oldest_ms), "{counts:?}");
    f.stores.callbacks.ack(&a).await.unwrap();
    let counts = stats(&f).await;
    assert_eq!(counts.pending, 1);
    assert!(counts.oldest_ms < 300, "{counts:?}");
}

pub async fn waiting_ends_when_an_event_comes(f: Fixture) {
    f.stores.callbacks.wait_until_due(ms(10)).await;
    let callbacks = f.stores.callbacks.clone();
    let began = Instant::now();
    let waiting = tokio::spawn(async move { callbacks.wait_until_due(ms(20_000)).await });
    tokio::time::sleep(ms(50)).await;
    enqueue(&f, "a").await;
    waiting.await.unwrap();
    assert!(began.elapsed() < ms(10_000));
}

pub async fn waiting_ends_at_once_for_what_came_before(f: Fixture) {
    let began = Instant::now();
    let a = enqueue(&f, "a").await;
    f.stores.callbacks.wait_until_due(ms(20_000)).await;
    claim(&f, 1).await;
    let again = f.attempt("timeout");
    f.stores
        .callbacks
        .retry(&a, again, f.now_ms())
        .await
        .unwrap();
    f.stores.callbacks.wait_until_due(ms(20_000)).await;
    assert!(began.elapsed() < ms(10_000));
}

pub async fn waiting_ends_when_its_time_is_up(f: Fixture) {
    let began = Instant::now();
    f.stores.callbacks.wait_until_due(ms(100)).await;
    assert!(began.elapsed() >= ms(90));
}

pub async fn a_released_claim_adds_no_attempt(f: Fixture) {
    let a = enqueue(&f, "a").await;
    assert_eq!(claim_keys(&f, 10).await, ["a"]);
    let later = f.now_ms() + 1_000;
    f.stores.callbacks.release_claim(&a, later).await.unwrap();
    assert!(claim(&f, 10).await.is_empty());
    f.advance(ms(1_100)).await;
    let claimed = claim(&f, 10).await.remove(0);
    assert_eq!(claimed.event.id, a);
    assert!(claimed.attempts.is_empty());
}
