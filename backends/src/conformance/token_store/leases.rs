//! Leased hits: uploads, and limited downloads with `hit_on: complete`.

use crate::conformance::fixture::*;
use crate::settings::QueueLimits;
use crate::token_store::{Access, HitOn, LeaseState, Method, Refusal};

pub const LIMITS: QueueLimits = DEFAULT_LIMITS;

pub async fn a_leased_hit_is_held_but_not_spent(f: Fixture) {
    let mut complete = f.limited(Method::Get, 1);
    complete.hit_on = HitOn::Complete;
    f.create(id(1), complete).await;
    f.create(id(2), f.limited(Method::Put, 1)).await;
    for (id, access) in [(id(1), Access::Get), (id(2), Access::Put)] {
        let held = f.admit(id, access).await;
        assert!(held.lease().is_some() && held.wants_commit());
        assert_eq!(f.used(id).await, 0);
        assert_eq!(f.refusal(id, access).await, Refusal::HitsExceeded);
        f.stores.tokens.release(held, 0, None).await.unwrap();
        let held = f.admit(id, access).await;
        assert_eq!(f.commit(held).await, LeaseState::Held);
        assert_eq!(f.used(id).await, 1);
        assert_eq!(f.refusal(id, access).await, Refusal::HitsExceeded);
    }
}

pub async fn a_lapsed_lease_frees_its_hit(f: Fixture) {
    f.create(id(1), f.limited(Method::Put, 1)).await;
    let lapsed = f.admit(id(1), Access::Put).await;
    f.advance(PAST_LEASE).await;
    assert_eq!(f.renew(&lapsed).await, LeaseState::Lost);
    assert_eq!(f.finalise(&lapsed).await, LeaseState::Lost);
    let next = f.admit(id(1), Access::Put).await;
    assert_eq!(f.commit(lapsed).await, LeaseState::Lost);
    assert_eq!(f.used(id(1)).await, 0);
    assert_eq!(f.renew(&next).await, LeaseState::Held);
}

pub async fn a_sweep_frees_lapsed_leases_only(f: Fixture) {
    f.create(id(1), f.limited(Method::Put, 1)).await;
    let held = f.admit(id(1), Access::Put).await;
    assert!(f.stores.tokens.sweep(LEASE).await.unwrap().is_empty());
    assert_eq!(f.renew(&held).await, LeaseState::Held);
    f.advance(PAST_LEASE).await;
    assert!(f.stores.tokens.sweep(LEASE).await.unwrap().is_empty());
    assert_eq!(f.commit(held).await, LeaseState::Lost);
    f.admit(id(1), Access::Put).await;
}

pub async fn a_lapsed_lease_is_lost_even_if_its_hit_is_free(f: Fixture) {
    f.create(id(1), f.limited(Method::Put, 1)).await;
    let lapsed = f.admit(id(1), Access::Put).await;
    f.advance(PAST_LEASE).await;
    assert_eq!(f.commit(lapsed).await, LeaseState::Lost);
    assert_eq!(f.used(id(1)).await, 0);
    f.admit(id(1), Access::Put).await;
}

pub async fn renewing_keeps_a_hit(f: Fixture) {
    f.create(id(1), f.limited(Method::Put, 1)).await;
    let held = f.admit(id(1), Access::Put).await;
    for _ in 0..4 {
        f.advance(ms(300)).await;
        assert_eq!(f.renew(&held).await, LeaseState::Held);
        assert_eq!(f.refusal(id(1), Access::Put).await, Refusal::HitsExceeded);
    }
    assert_eq!(f.commit(held).await, LeaseState::Held);
    assert_eq!(f.used(id(1)).await, 1);
}

pub async fn lease_calls_on_a_hit_without_a_lease_have_no_effect(f: Fixture) {
    f.create(id(1), f.limited(Method::Get, 1)).await;
    f.create(id(2), f.record(Method::Get)).await;
    for id in [id(1), id(2)] {
        let counted = f.admit(id, Access::Get).await;
        assert_eq!(f.renew(&counted).await, LeaseState::Held);
        assert_eq!(f.commit(counted).await, LeaseState::Held);
        assert_eq!(f.used(id).await, 1);
    }
}

pub async fn an_upload_commits_after_its_token_has_expired(f: Fixture) {
    let mut record = f.limited(Method::Put, 1);
    // Waits for a full second, because expiry has a resolution of one.
    record.expire_at = f.now() + 2;
    f.create(id(1), record).await;
    let wanted = crate::token_store::ReserveRequest {
        lease: ms(10_000),
        ..request(Access::Put)
    };
    let upload = f.admit_with(id(1), &wanted).await;
    f.advance(ms(2500)).await;
    assert_eq!(f.renew(&upload).await, LeaseState::Held);
    assert_eq!(f.commit(upload).await, LeaseState::Held);
    assert_eq!(f.used(id(1)).await, 1);
}

pub async fn deleting_a_token_revokes_its_leases(f: Fixture) {
    f.create(id(1), f.limited(Method::Put, 1)).await;
    let held = f.admit(id(1), Access::Put).await;
    f.stores.tokens.delete(id(1)).await.unwrap();
    assert_eq!(f.renew(&held).await, LeaseState::Lost);
    assert_eq!(f.finalise(&held).await, LeaseState::Lost);
    assert_eq!(f.commit(held).await, LeaseState::Lost);
    assert_eq!(f.stores.tokens.get(id(1)).await.unwrap(), None);
}

pub async fn a_new_incarnation_has_no_old_leases(f: Fixture) {
    f.create(id(1), f.limited(Method::Put, 2)).await;
    let committed = f.admit(id(1), Access::Put).await;
    let released = f.admit(id(1), Access::Put).await;
    f.stores.tokens.delete(id(1)).await.unwrap();
    f.create(id(1), f.limited(Method::Put, 1)).await;
    let new = f.admit(id(1), Access::Put).await;
    assert_eq!(f.renew(&committed).await, LeaseState::Lost);
    assert_eq!(f.commit(committed).await, LeaseState::Lost);
    f.stores.tokens.release(released, 0, None).await.unwrap();
    assert_eq!(f.used(id(1)).await, 0);
    assert_eq!(f.refusal(id(1), Access::Put).await, Refusal::HitsExceeded);
    assert_eq!(f.commit(new).await, LeaseState::Held);
    assert_eq!(f.used(id(1)).await, 1);
}

pub async fn uploads_of_an_unlimited_token_are_leased(f: Fixture) {
    f.create(id(1), f.record(Method::Put)).await;
    let mut uploads = Vec::new();
    for _ in 0..5 {
        uploads.push(f.admit(id(1), Access::Put).await);
    }
    for upload in uploads {
        assert!(upload.lease().is_some());
        assert_eq!(f.commit(upload).await, LeaseState::Held);
    }
    assert_eq!(f.used(id(1)).await, 5);
}

pub async fn each_lease_has_its_own_marker(f: Fixture) {
    f.create(id(1), f.limited(Method::Put, 2)).await;
    let first = f.admit(id(1), Access::Put).await.marker().unwrap();
    let second = f.admit(id(1), Access::Put).await.marker().unwrap();
    assert_ne!(first, second);
}
