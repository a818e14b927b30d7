//! Recorded multipart uploads, and the abandoned ones that are handed out to be aborted.

use crate::conformance::fixture::*;
use crate::settings::QueueLimits;
use crate::token_store::{
    AbandonedUpload, Access, LeaseState, Method, MultipartUpload, Reservation, TokenId,
};

pub const LIMITS: QueueLimits = DEFAULT_LIMITS;

fn upload(n: u64) -> MultipartUpload {
    MultipartUpload {
        bucket: "bucket".into(),
        key: "a/key \"ü\"".into(),
        reference: format!("reference/{n}+=:"),
        began_at_ms: n,
    }
}

async fn record(f: &Fixture, reservation: &Reservation, n: u64) -> LeaseState {
    let lease = reservation.lease().unwrap();
    let recorded = f.stores.tokens.record_upload(lease, upload(n)).await;
    recorded.unwrap()
}

/// An upload with a recorded multipart upload.
async fn begun(f: &Fixture, id: TokenId) -> Reservation {
    f.create(id, f.limited(Method::Put, 1)).await;
    let reservation = f.admit(id, Access::Put).await;
    assert_eq!(record(f, &reservation, 7).await, LeaseState::Held);
    reservation
}

async fn abandoned(f: &Fixture) -> Vec<AbandonedUpload> {
    f.stores.tokens.abandoned_uploads(LEASE).await.unwrap()
}

async fn sweep(f: &Fixture) {
    assert!(f.stores.tokens.sweep(LEASE).await.unwrap().is_empty());
}

pub async fn a_running_multipart_upload_is_not_handed_out(f: Fixture) {
    let upload = begun(&f, id(1)).await;
    for _ in 0..4 {
        f.advance(ms(300)).await;
        assert_eq!(f.renew(&upload).await, LeaseState::Held);
        assert_eq!(abandoned(&f).await, []);
    }
}

pub async fn a_lapsed_multipart_upload_is_handed_out_and_its_hit_is_free(f: Fixture) {
    let _dead = begun(&f, id(1)).await;
    f.advance(PAST_LEASE).await;
    // Takes the hit of the lapsed lease, whose entry is removed with it.
    f.admit(id(1), Access::Put).await;
    sweep(&f).await;
    let left = abandoned(&f).await;
    assert_eq!(left.len(), 1);
    assert_eq!(left[0].token_id(), id(1));
    assert_eq!(left[0].upload, upload(7));
    assert_eq!(abandoned(&f).await, [], "handed out twice");
    for _ in 0..2 {
        f.stores.tokens.forget_upload(&left[0]).await.unwrap();
    }
    f.advance(PAST_LEASE).await;
    assert_eq!(abandoned(&f).await, []);
}

pub async fn an_abandoned_upload_is_handed_out_again_until_forgotten(f: Fixture) {
    let _dead = begun(&f, id(1)).await;
    for _ in 0..3 {
        f.advance(PAST_LEASE).await;
        assert_eq!(abandoned(&f).await.len(), 1);
    }
}

pub async fn a_commit_forgets_the_multipart_upload(f: Fixture) {
    let upload = begun(&f, id(1)).await;
    f.finalise(&upload).await;
    assert_eq!(f.commit(upload).await, LeaseState::Held);
    f.advance(PAST_LEASE).await;
    assert_eq!(abandoned(&f).await, []);
}

/// An aborted request may have failed to reach storage.
pub async fn a_release_hands_out_the_multipart_upload(f: Fixture) {
    let upload = begun(&f, id(1)).await;
    f.stores.tokens.release(upload, 0, None).await.unwrap();
    f.advance(PAST_LEASE).await;
    assert_eq!(abandoned(&f).await.len(), 1);
}

pub async fn a_finalising_multipart_upload_waits_for_its_settlement(f: Fixture) {
    for (n, visible) in [(1, true), (2, false)] {
        let upload = begun(&f, id(n)).await;
        let tokens = &f.stores.tokens;
        f.finalise(&upload).await;
        f.advance(PAST_LEASE).await;
        assert_eq!(
            abandoned(&f).await,
            [],
            "nobody knows whether it is visible"
        );
        let mut unsettled = tokens.sweep(LEASE).await.unwrap();
        let reservation = unsettled.remove(0).reservation;
        if visible {
            assert_eq!(f.commit(reservation).await, LeaseState::Held);
        } else {
            tokens.release(reservation, 0, None).await.unwrap();
        }
        f.advance(PAST_LEASE).await;
        assert_eq!(abandoned(&f).await.len(), usize::from(!visible));
    }
}

/// Recovery aborts the multipart upload before it releases the hit.
pub async fn recovery_gets_the_reference_of_the_multipart_upload(f: Fixture) {
    let parts = begun(&f, id(1)).await;
    f.create(id(2), f.limited(Method::Put, 1)).await;
    let whole = f.admit(id(2), Access::Put).await;
    for upload in [&parts, &whole] {
        f.finalise(upload).await;
    }
    f.advance(PAST_LEASE).await;
    let unsettled = f.stores.tokens.sweep(LEASE).await.unwrap();
    assert_eq!(unsettled.len(), 2);
    for left in unsettled {
        let expected = (left.reservation.token_id() == id(1)).then(|| upload(7));
        assert_eq!(left.open_upload, expected);
    }
}

pub async fn deletion_and_re_creation_keep_the_multipart_upload(f: Fixture) {
    let _revoked = begun(&f, id(1)).await;
    f.stores.tokens.delete(id(1)).await.unwrap();
    let _of_the_new_life = begun(&f, id(1)).await;
    sweep(&f).await;
    f.advance(PAST_LEASE).await;
    sweep(&f).await;
    assert_eq!(abandoned(&f).await.len(), 2);
}

pub async fn a_lost_lease_records_nothing(f: Fixture) {
    f.create(id(1), f.limited(Method::Put, 1)).await;
    let upload = f.admit(id(1), Access::Put).await;
    f.advance(PAST_LEASE).await;
    assert_eq!(record(&f, &upload, 1).await, LeaseState::Lost);
    let revoked = f.admit(id(1), Access::Put).await;
    f.stores.tokens.delete(id(1)).await.unwrap();
    assert_eq!(record(&f, &revoked, 2).await, LeaseState::Lost);
    f.advance(PAST_LEASE).await;
    assert_eq!(abandoned(&f).await, []);
}

pub async fn several_abandoned_uploads_are_handed_out_once(f: Fixture) {
    for n in 0..20 {
        begun(&f, id(n)).await;
    }
    f.advance(PAST_LEASE).await;
    let (a, b) = tokio::join!(abandoned(&f), abandoned(&f));
    let mut seen: Vec<_> = a.iter().chain(&b).map(AbandonedUpload::token_id).collect();
    seen.sort_unstable();
    seen.dedup();
    assert_eq!((seen.len(), a.len() + b.len()), (20, 20));
}
