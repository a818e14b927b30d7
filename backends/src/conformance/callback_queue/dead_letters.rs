//! Inspection of events, dead letters and their replay.

use std::time::Duration;

use super::delivery::{claim, enqueue, stats};
use crate::callback_queue::{EventPage, EventState, Replayed, StoredEvent};
use crate::conformance::fixture::*;
use crate::event::{Event, EventId};
use crate::settings::QueueLimits;

pub const LIMITS: QueueLimits = QueueLimits {
    keep_dead: Some(Duration::from_secs(3)),
    ..DEFAULT_LIMITS
};

async fn page(f: &Fixture, state: EventState, limit: usize, cursor: Option<&str>) -> EventPage {
    let page = f.stores.callbacks.list_events(state, limit, cursor).await;
    page.unwrap().expect("a cursor of this queue")
}

async fn all(f: &Fixture, state: EventState) -> Vec<StoredEvent> {
    page(f, state, 1_000, None).await.events
}

async fn kept(f: &Fixture, id: &EventId) -> Option<StoredEvent> {
    f.stores.callbacks.get_event(id).await.unwrap()
}

/// Queues an event that becomes a dead letter after one attempt.
pub(super) async fn dead(f: &Fixture, key: &str) -> EventId {
    let id = enqueue(f, key).await;
    claim(f, 1).await;
    let last = f.attempt("status_500");
    f.stores.callbacks.dead_letter(&id, last).await.unwrap();
    id
}

pub async fn pages_list_each_event_once_oldest_first(f: Fixture) {
    let mut ids = Vec::new();
    for n in 0..30 {
        ids.push(dead(&f, &n.to_string()).await);
        f.advance(ms(2)).await;
    }
    let waiting = enqueue(&f, "waiting").await;
    let mut listed = Vec::new();
    let mut cursor = None;
    loop {
        let page = page(&f, EventState::Dead, 7, cursor.as_deref()).await;
        assert!(page.events.len() <= 7);
        listed.extend(page.events.into_iter().map(|kept| kept.event.id));
        cursor = page.cursor;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(listed, ids);
    let pending = all(&f, EventState::Pending).await;
    assert_eq!(pending.len(), 1);
    assert_eq!(pending[0].event.id, waiting);
    // A page with exactly all events has no cursor.
    let full = page(&f, EventState::Dead, 30, None).await;
    assert_eq!((full.events.len(), full.cursor), (30, None));
}

pub async fn an_event_shows_its_attempts_and_due_time(f: Fixture) {
    let event: Event = f.event("a");
    f.stores.callbacks.enqueue(event.clone()).await.unwrap();
    let queued_at_ms = f.now_ms();
    claim(&f, 1).await;
    let claimed = kept(&f, &event.id).await.unwrap();
    assert!(claimed.due_ms.is_some() && claimed.attempts.is_empty());
    assert!(claimed.queued_at_ms.abs_diff(queued_at_ms) < 1_000);
    assert_eq!(claimed.event, event);

    let first = f.attempt("timeout");
    let again = f.now_ms() + 60_000;
    let callbacks = &f.stores.callbacks;
    callbacks
        .retry(&event.id, first.clone(), again)
        .await
        .unwrap();
    let waiting = kept(&f, &event.id).await.unwrap();
    assert_eq!(waiting.due_ms, Some(again));
    assert_eq!(waiting.attempts, [first]);
    assert_eq!(all(&f, EventState::Pending).await, [waiting]);

    callbacks.ack(&event.id).await.unwrap();
    for id in [&event.id, &EventId::from_string("nonsense".into())] {
        assert_eq!(kept(&f, id).await, None);
        assert!(!callbacks.replay(id).await.unwrap());
    }
    assert!(all(&f, EventState::Pending).await.is_empty());
}

pub async fn a_replayed_dead_letter_restarts_its_schedule(f: Fixture) {
    let id = dead(&f, "a").await;
    let callbacks = &f.stores.callbacks;
    let letter = kept(&f, &id).await.unwrap();
    assert_eq!((letter.due_ms, letter.attempts.len()), (None, 1));
    assert!(callbacks.replay(&id).await.unwrap());
    assert!(all(&f, EventState::Dead).await.is_empty());
    let now = stats(&f).await;
    assert_eq!((now.pending, now.dead), (1, 0));

    let again = callbacks.claim(9, LEASE).await.unwrap().remove(0);
    assert_eq!(again.event.id, id);
    assert_eq!(
        (again.attempts_since_replay(), again.attempts.len()),
        (0, 2)
    );
    assert!(again.attempts[1].is_replay());
    let second = f.attempt("connect");
    callbacks.retry(&id, second, f.now_ms()).await.unwrap();
    let again = callbacks.claim(9, LEASE).await.unwrap().remove(0);
    assert_eq!(
        (again.attempts_since_replay(), again.attempts.len()),
        (1, 3)
    );
    let last = f.attempt("status_410");
    callbacks.dead_letter(&id, last).await.unwrap();
    assert_eq!(kept(&f, &id).await.unwrap().attempts.len(), 4);
    let now = stats(&f).await;
    assert_eq!((now.pending, now.dead), (0, 1));
}

pub async fn a_replay_truncates_a_long_history(f: Fixture) {
    let id = dead(&f, "a").await;
    for _ in 0..30 {
        assert!(f.stores.callbacks.replay(&id).await.unwrap());
        claim(&f, 1).await;
        let last = f.attempt("status_500");
        f.stores.callbacks.dead_letter(&id, last).await.unwrap();
    }
    let history = kept(&f, &id).await.unwrap().attempts;
    assert!((10..=22).contains(&history.len()), "{}", history.len());
    assert!(!history.last().unwrap().is_replay());
}

pub async fn a_replay_makes_a_pending_event_due(f: Fixture) {
    let id = enqueue(&f, "a").await;
    claim(&f, 1).await;
    // A replay does not change a claimed event.
    assert!(f.stores.callbacks.replay(&id).await.unwrap());
    assert!(claim(&f, 1).await.is_empty());
    let first = f.attempt("connect");
    let later = f.now_ms() + 3_600_000;
    f.stores.callbacks.retry(&id, first, later).await.unwrap();
    assert!(claim(&f, 1).await.is_empty());
    assert!(f.stores.callbacks.replay(&id).await.unwrap());
    let hurried = f.stores.callbacks.claim(9, LEASE).await.unwrap().remove(0);
    assert_eq!(
        (hurried.attempts_since_replay(), hurried.attempts.len()),
        (1, 1)
    );
    assert_eq!(stats(&f).await.pending, 1);
}

fn all_of(replayed: u64) -> Replayed {
    Replayed {
        replayed,
        more: false,
    }
}

pub async fn dead_letters_are_replayed_by_queueing_time(f: Fixture) {
    let old = dead(&f, "old").await;
    f.advance(ms(20)).await;
    let since = f.now_ms();
    f.advance(ms(20)).await;
    for n in 0..5 {
        dead(&f, &n.to_string()).await;
    }
    let callbacks = &f.stores.callbacks;
    assert_eq!(callbacks.replay_since(since).await.unwrap(), all_of(5));
    assert_eq!(callbacks.replay_since(since).await.unwrap(), all_of(0));
    let left = all(&f, EventState::Dead).await;
    assert_eq!(left.len(), 1);
    assert_eq!(left[0].event.id, old);
    assert_eq!(f.take_events().await.len(), 5);
    assert_eq!(callbacks.replay_since(0).await.unwrap(), all_of(1));
}

pub async fn a_foreign_cursor_is_refused(f: Fixture) {
    for cursor in ["", "nonsense", "zz", "-", "12-;"] {
        let page = f
            .stores
            .callbacks
            .list_events(EventState::Dead, 9, Some(cursor));
        assert!(page.await.unwrap().is_none(), "{cursor}");
    }
}

pub async fn an_old_dead_letter_is_dropped(f: Fixture) {
    let tokens = &f.stores.tokens;
    let old = dead(&f, "old").await;
    let waiting = enqueue(&f, "waiting").await;
    f.advance(ms(2_000)).await;
    tokens.sweep(LEASE).await.unwrap();
    assert!(kept(&f, &old).await.is_some());
    // Its age counts from the last attempt.
    assert!(f.stores.callbacks.replay(&old).await.unwrap());
    let claimed = claim(&f, 9).await;
    assert!(claimed.iter().any(|claimed| claimed.event.id == old));
    let last = f.attempt("status_500");
    f.stores.callbacks.dead_letter(&old, last).await.unwrap();
    f.advance(ms(2_000)).await;
    tokens.sweep(LEASE).await.unwrap();
    assert!(kept(&f, &old).await.is_some());
    f.advance(ms(1_500)).await;
    tokens.sweep(LEASE).await.unwrap();
    assert_eq!(kept(&f, &old).await, None);
    assert!(all(&f, EventState::Dead).await.is_empty());
    assert!(!f.stores.callbacks.replay(&old).await.unwrap());
    assert!(kept(&f, &waiting).await.is_some());
    assert_eq!(stats(&f).await.dead, 0);
}
