//! `max_pending`: the limit of pending events.

use super::dead_letters::dead;
use crate::callback_queue::Enqueued;
use crate::conformance::fixture::*;
use crate::settings::QueueLimits;

pub const LIMITS: QueueLimits = QueueLimits {
    max_pending: 2,
    ..DEFAULT_LIMITS
};

async fn enqueue(f: &Fixture) -> Enqueued {
    f.stores.callbacks.enqueue(f.event("a")).await.unwrap()
}

pub async fn a_full_queue_refuses_events(f: Fixture) {
    assert_eq!(enqueue(&f).await, Enqueued::Queued);
    assert_eq!(enqueue(&f).await, Enqueued::Queued);
    assert_eq!(enqueue(&f).await, Enqueued::Full);
    assert_eq!(f.stores.callbacks.pending(), 2);
    // Claimed events are pending, too.
    let claimed = f.stores.callbacks.claim(10, LEASE).await.unwrap();
    assert_eq!(claimed.len(), 2);
    assert_eq!(enqueue(&f).await, Enqueued::Full);
    f.stores.callbacks.ack(&claimed[0].event.id).await.unwrap();
    assert_eq!(f.stores.callbacks.pending(), 1);
    assert_eq!(enqueue(&f).await, Enqueued::Queued);
    assert_eq!(enqueue(&f).await, Enqueued::Full);
}

pub async fn dead_letters_take_no_room(f: Fixture) {
    for _ in 0..4 {
        dead(&f, "a").await;
    }
    assert_eq!(f.stores.callbacks.stats().await.unwrap().dead, 4);
}

/// A replay leaves half of the queue to new events.
pub async fn a_replay_leaves_half_the_room(f: Fixture) {
    for _ in 0..3 {
        dead(&f, "a").await;
    }
    assert_eq!(enqueue(&f).await, Enqueued::Queued);
    let replayed = f.stores.callbacks.replay_since(0).await.unwrap();
    assert_eq!((replayed.replayed, replayed.more), (0, true));
    assert_eq!(f.take_events().await.len(), 1);
    let replayed = f.stores.callbacks.replay_since(0).await.unwrap();
    assert_eq!((replayed.replayed, replayed.more), (3, false));
}
