//! `hit_on: complete`: bytes are charged against the token's budget before they are sent.

use crate::conformance::fixture::*;
use crate::settings::QueueLimits;
use crate::token_store::{Access, Charged, HitOn, LeaseState, Method, Reservation};

pub const LIMITS: QueueLimits = DEFAULT_LIMITS;

async fn prepare(f: &Fixture, max_hits: u64) {
    let mut record = f.limited(Method::Get, max_hits);
    record.hit_on = HitOn::Complete;
    f.create(id(1), record).await;
}

async fn charge(f: &Fixture, reservation: &Reservation, bytes: u64) -> Charged {
    f.stores
        .tokens
        .charge(reservation, bytes, 100)
        .await
        .unwrap()
}

pub async fn bytes_over_the_budget_are_not_charged(f: Fixture) {
    prepare(&f, 2).await;
    let first = f.admit(id(1), Access::Get).await;
    let second = f.admit(id(1), Access::Get).await;
    assert_eq!(charge(&f, &first, 60).await, Charged::Done);
    assert_eq!(charge(&f, &second, 41).await, Charged::OverBudget);
    assert_eq!(charge(&f, &second, 40).await, Charged::Done);
    assert_eq!(charge(&f, &first, 1).await, Charged::OverBudget);
    assert_eq!(charge(&f, &first, 0).await, Charged::Done);
    // An answer of `OverBudget` keeps the lease.
    assert_eq!(f.commit(first).await, LeaseState::Held);
    assert_eq!(f.used(id(1)).await, 1);
}

pub async fn unsent_bytes_are_refunded(f: Fixture) {
    prepare(&f, 1).await;
    let cut_off = f.admit(id(1), Access::Get).await;
    assert_eq!(charge(&f, &cut_off, 90).await, Charged::Done);
    f.stores.tokens.release(cut_off, 30, None).await.unwrap();
    let next = f.admit(id(1), Access::Get).await;
    assert_eq!(charge(&f, &next, 41).await, Charged::OverBudget);
    assert_eq!(charge(&f, &next, 40).await, Charged::Done);
}

pub async fn sent_bytes_stay_charged(f: Fixture) {
    prepare(&f, 2).await;
    let complete = f.admit(id(1), Access::Get).await;
    assert_eq!(charge(&f, &complete, 70).await, Charged::Done);
    f.commit(complete).await;
    let next = f.admit(id(1), Access::Get).await;
    assert_eq!(charge(&f, &next, 31).await, Charged::OverBudget);
}

pub async fn a_lapsed_lease_cannot_charge_but_refunds(f: Fixture) {
    prepare(&f, 1).await;
    let lapsed = f.admit(id(1), Access::Get).await;
    assert_eq!(charge(&f, &lapsed, 90).await, Charged::Done);
    f.advance(PAST_LEASE).await;
    assert_eq!(charge(&f, &lapsed, 5).await, Charged::Lost);
    let next = f.admit(id(1), Access::Get).await;
    f.stores.tokens.release(lapsed, 90, None).await.unwrap();
    assert_eq!(charge(&f, &next, 100).await, Charged::Done);
}

pub async fn charges_of_a_lapsed_lease_are_free_with_its_hit(f: Fixture) {
    prepare(&f, 1).await;
    let dead = f.admit(id(1), Access::Get).await;
    assert_eq!(charge(&f, &dead, 90).await, Charged::Done);
    f.advance(PAST_LEASE).await;
    let next = f.admit(id(1), Access::Get).await;
    assert_eq!(charge(&f, &next, 100).await, Charged::Done);
}

pub async fn a_deleted_token_charges_nothing(f: Fixture) {
    prepare(&f, 1).await;
    let held = f.admit(id(1), Access::Get).await;
    f.stores.tokens.delete(id(1)).await.unwrap();
    assert_eq!(charge(&f, &held, 1).await, Charged::Lost);
}

pub async fn a_hit_without_a_lease_has_no_budget(f: Fixture) {
    f.create(id(1), f.limited(Method::Get, 1)).await;
    let counted = f.admit(id(1), Access::Get).await;
    assert_eq!(charge(&f, &counted, 1000).await, Charged::Done);
}
