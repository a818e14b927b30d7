//! Open events: a download's event is written with its hit and closed when the body ends.

use crate::caller::Caller;
use crate::conformance::fixture::*;
use crate::event::Outcome;
use crate::settings::QueueLimits;
use crate::token_store::{Access, BodyTemplate, BodyType, HitOn, LeaseState, Method, TokenRecord};

pub const LIMITS: QueueLimits = DEFAULT_LIMITS;

fn record(f: &Fixture) -> TokenRecord {
    let mut record = f.reported(Method::Get, 9);
    record.metadata = [("order".to_owned(), "7".to_owned())].into();
    record.callback_body = Some(template());
    record
}

fn template() -> BodyTemplate {
    BodyTemplate {
        text: r#"{"object":"/${object}","报告":${x:order},"\":null}"#.to_owned(),
        kind: BodyType::Json,
    }
}

pub async fn a_complete_download_queues_its_event_at_the_end(f: Fixture) {
    f.create(id(1), record(&f)).await;
    let download = f.admit(id(1), Access::Get).await;
    assert!(download.wants_commit());
    assert!(f.take_events().await.is_empty());
    assert_eq!(f.commit(download).await, LeaseState::Held);
    let events = f.take_events().await;
    assert_eq!(events.len(), 1);
    let event = &events[0];
    assert!(event.id.as_str().starts_with("evt_"));
    assert_eq!(event.token_id, id(1));
    assert_eq!(event.target, "https://back.example.com/hook");
    assert_eq!(
        (&*event.method, &*event.bucket, &*event.key),
        ("GET", "bucket", "a/key")
    );
    assert_eq!(event.caller, Caller::from(CALLER));
    assert_eq!(event.report, report(Outcome::Complete));
    assert_eq!(event.metadata["order"], "7");
    assert_eq!(event.template, Some(template()));
    assert!(event.timestamp >= f.now() - 2 && event.timestamp <= f.now());
}

pub async fn an_unlimited_download_queues_its_event_too(f: Fixture) {
    let mut record = record(&f);
    record.max_hits = None;
    f.create(id(1), record).await;
    let download = f.admit(id(1), Access::Get).await;
    assert!(download.wants_commit());
    f.commit(download).await;
    assert_eq!(f.take_events().await.len(), 1);
    assert_eq!(f.used(id(1)).await, 1);
}

pub async fn each_ride_queues_an_event(f: Fixture) {
    let mut record = record(&f);
    record.hit_window_seconds = Some(60);
    f.create(id(1), record).await;
    for _ in 0..3 {
        let download = f.admit(id(1), Access::Get).await;
        f.commit(download).await;
    }
    assert_eq!(f.take_events().await.len(), 3);
    assert_eq!(f.used(id(1)).await, 1);
}

pub async fn the_event_of_an_incomplete_download_is_dropped(f: Fixture) {
    f.create(id(1), record(&f)).await;
    for outcome in [Outcome::Aborted, Outcome::Failed, Outcome::Interrupted] {
        let download = f.admit(id(1), Access::Get).await;
        f.commit_as(download, outcome).await;
    }
    assert!(f.take_events().await.is_empty());
    assert_eq!(f.used(id(1)).await, 3);
}

pub async fn the_event_of_a_released_download_is_dropped(f: Fixture) {
    f.create(id(1), record(&f)).await;
    let download = f.admit(id(1), Access::Get).await;
    f.stores.tokens.release(download, 0, None).await.unwrap();
    let download = f.admit(id(1), Access::Get).await;
    let aborted = Some(report(Outcome::Aborted));
    f.stores.tokens.release(download, 0, aborted).await.unwrap();
    assert!(f.take_events().await.is_empty());
    assert_eq!(f.used(id(1)).await, 0);
}

pub async fn a_lost_lease_queues_nothing(f: Fixture) {
    let mut record = record(&f);
    record.hit_on = HitOn::Complete;
    f.create(id(1), record).await;
    let download = f.admit(id(1), Access::Get).await;
    f.advance(PAST_LEASE).await;
    assert_eq!(f.commit(download).await, LeaseState::Lost);
    f.stores.tokens.sweep(LEASE).await.unwrap();
    assert!(f.take_events().await.is_empty());
    assert_eq!(f.used(id(1)).await, 0);
}

/// A deletion does not undo a download that was counted before.
pub async fn a_counted_download_of_a_deleted_token_is_reported(f: Fixture) {
    f.create(id(1), record(&f)).await;
    let download = f.admit(id(1), Access::Get).await;
    f.stores.tokens.delete(id(1)).await.unwrap();
    assert_eq!(f.commit(download).await, LeaseState::Held);
    assert_eq!(f.take_events().await.len(), 1);
}

pub async fn a_sweep_keeps_the_event_of_a_download_in_flight(f: Fixture) {
    f.create(id(1), record(&f)).await;
    let download = f.admit(id(1), Access::Get).await;
    f.stores.tokens.sweep(LEASE).await.unwrap();
    f.commit(download).await;
    assert_eq!(f.take_events().await.len(), 1);
}

/// The start of the download does not count.
pub async fn the_age_of_an_event_starts_when_it_is_queued(f: Fixture) {
    f.create(id(1), record(&f)).await;
    let long = f.admit(id(1), Access::Get).await;
    f.advance(ms(400)).await;
    f.stores.callbacks.enqueue(f.event("a")).await.unwrap();
    f.advance(ms(400)).await;
    f.commit(long).await;
    let stats = f.stores.callbacks.stats().await.unwrap();
    assert_eq!(stats.pending, 2);
    assert!((400..700).contains(&stats.oldest_ms), "{stats:?}");
}

pub async fn an_upload_without_a_callback_makes_no_event(f: Fixture) {
    f.create(id(1), f.limited(Method::Put, 1)).await;
    let upload = f.admit(id(1), Access::Put).await;
    f.finalise(&upload).await;
    f.commit(upload).await;
    assert!(f.take_events().await.is_empty());
}
