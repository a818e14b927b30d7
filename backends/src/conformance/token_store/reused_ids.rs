//! Token ids that are created again after expiry or deletion.

use crate::conformance::fixture::*;
use crate::settings::QueueLimits;
use crate::token_store::{
    Access, Charged, Created, Filter, GRACE_SECONDS, LeaseState, Method, Refusal, ReserveRequest,
};

pub const LIMITS: QueueLimits = DEFAULT_LIMITS;

pub async fn an_expired_id_may_be_reused(f: Fixture) {
    let mut record = f.limited(Method::Get, 1);
    record.expire_at = f.now() + 2;
    record.hit_window_seconds = Some(60);
    record.tags = vec!["old".into()];
    record.bucket = "old".into();
    f.create(id(1), record).await;
    f.admit(id(1), Access::Get).await;
    f.advance(ms(2500)).await;

    let mut record = f.limited(Method::Get, 1);
    record.hit_window_seconds = Some(60);
    f.create(id(1), record.clone()).await;
    assert_eq!(f.used(id(1)).await, 0);
    for filter in [
        Filter {
            tag: Some("old".into()),
            ..Filter::default()
        },
        Filter {
            bucket: Some("old".into()),
            ..Filter::default()
        },
    ] {
        let page = f.stores.tokens.list(&filter, 10, None).await.unwrap();
        assert!(page.unwrap().tokens.is_empty());
    }
    // An old window would let this access ride and count nothing.
    f.admit(id(1), Access::Get).await;
    assert_eq!(f.used(id(1)).await, 1);
    // The expiry of the earlier incarnation does not remove the token.
    f.stores.tokens.sweep(LEASE).await.unwrap();
    assert_eq!(
        f.stores.tokens.get(id(1)).await.unwrap().unwrap().record,
        record
    );
}

pub async fn a_new_incarnation_has_no_uploads_leases_or_charges(f: Fixture) {
    let mut record = f.limited(Method::Put, 2);
    record.expire_at = f.now() + 2;
    f.create(id(1), record).await;
    let upload = f.admit(id(1), Access::Put).await;
    let held = f.admit_with(id(1), &long_lease()).await;
    f.finalise(&upload).await;
    assert_eq!(f.commit(upload).await, LeaseState::Held);
    assert_eq!(
        f.stores.tokens.charge(&held, 90, 100).await.unwrap(),
        Charged::Done
    );
    assert_eq!(f.used(id(1)).await, 1);
    f.advance(ms(2500)).await;

    f.create(id(1), f.limited(Method::Put, 1)).await;
    let stored = f.stores.tokens.get(id(1)).await.unwrap().unwrap();
    assert_eq!((stored.used_hits, stored.uploaded_at), (0, None));
    let new = f.admit(id(1), Access::Put).await;
    assert_eq!(
        f.stores.tokens.charge(&new, 90, 100).await.unwrap(),
        Charged::Done
    );
    // Reservations of the earlier incarnation do not change the new one.
    assert_eq!(f.renew(&held).await, LeaseState::Lost);
    f.stores.tokens.release(held, 90, None).await.unwrap();
    assert_eq!(
        f.stores.tokens.charge(&new, 20, 100).await.unwrap(),
        Charged::OverBudget
    );
    assert_eq!(f.refusal(id(1), Access::Put).await, Refusal::HitsExceeded);
    assert_eq!(f.renew(&new).await, LeaseState::Held);
}

fn long_lease() -> ReserveRequest<'static> {
    ReserveRequest {
        lease: ms(60_000),
        ..request(Access::Put)
    }
}

/// Sweeps and mass revocation run while ids are created again.
pub async fn a_re_created_token_is_not_swept(f: Fixture) {
    let mut gone = f.record(Method::Get);
    gone.expire_at = f.now() - GRACE_SECONDS;
    gone.bucket = "old".into();
    let mut expired = gone.clone();
    expired.expire_at = f.now();
    for round in 0..20 {
        let ids = || (round * 40..round * 40 + 40).map(id);
        let old = ids().zip([gone.clone(), expired.clone()].into_iter().cycle());
        let created = f.stores.tokens.create(old.collect()).await;
        assert_eq!(created.unwrap(), Created::Done);
        let (tokens, record) = (f.stores.tokens.clone(), f.record(Method::Get));
        let anew: Vec<_> = ids().collect();
        let anew = tokio::spawn(async move {
            for id in anew {
                let created = tokens.create(vec![(id, record.clone())]).await;
                assert_eq!(created.unwrap(), Created::Done);
            }
        });
        let old = Filter {
            bucket: Some("old".into()),
            ..Filter::default()
        };
        f.stores.tokens.sweep(LEASE).await.unwrap();
        f.stores.tokens.delete_matching(&old).await.unwrap();
        anew.await.unwrap();
        for id in ids() {
            assert!(f.stores.tokens.get(id).await.unwrap().is_some());
        }
    }
}
