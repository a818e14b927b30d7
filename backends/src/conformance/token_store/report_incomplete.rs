//! `report_incomplete`: every counted hit is reported.

use crate::conformance::fixture::*;
use crate::event::Outcome;
use crate::settings::QueueLimits;
use crate::token_store::{Access, HitOn, LeaseState, Method, TokenRecord};

pub const LIMITS: QueueLimits = QueueLimits {
    report_incomplete: true,
    ..DEFAULT_LIMITS
};

fn record(f: &Fixture) -> TokenRecord {
    f.reported(Method::Get, 9)
}

pub async fn every_outcome_is_queued(f: Fixture) {
    f.create(id(1), record(&f)).await;
    let outcomes = [Outcome::Complete, Outcome::Aborted, Outcome::Failed];
    for outcome in outcomes {
        let download = f.admit(id(1), Access::Get).await;
        f.commit_as(download, outcome).await;
    }
    let events = f.take_events().await;
    let queued: Vec<_> = events.iter().map(|event| event.report.outcome).collect();
    assert_eq!(queued, outcomes);
}

pub async fn a_released_hit_is_queued_only_with_a_report(f: Fixture) {
    f.create(id(1), record(&f)).await;
    let download = f.admit(id(1), Access::Get).await;
    f.stores.tokens.release(download, 0, None).await.unwrap();
    assert!(f.take_events().await.is_empty());
    let download = f.admit(id(1), Access::Get).await;
    let failed = Some(report(Outcome::Failed));
    f.stores.tokens.release(download, 0, failed).await.unwrap();
    let events = f.take_events().await;
    assert_eq!(events.len(), 1);
    assert_eq!(events[0].report.outcome, Outcome::Failed);
    assert_eq!(f.used(id(1)).await, 0);
}

pub async fn a_lost_lease_is_neither_counted_nor_queued(f: Fixture) {
    let mut record = record(&f);
    record.hit_on = HitOn::Complete;
    f.create(id(1), record).await;
    let download = f.admit(id(1), Access::Get).await;
    f.advance(PAST_LEASE).await;
    assert_eq!(
        f.commit_as(download, Outcome::Aborted).await,
        LeaseState::Lost
    );
    assert!(f.take_events().await.is_empty());
}
