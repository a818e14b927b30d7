//! Uploads between `finalise` and `commit`, and those that a sweep takes over.

use crate::caller::Caller;
use crate::conformance::fixture::*;
use crate::event::Outcome;
use crate::settings::QueueLimits;
use crate::token_store::{
    Access, Intent, LeaseId, LeaseState, Method, Patch, Refusal, Reservation, Settlement,
    UnsettledUpload,
};

pub const LIMITS: QueueLimits = DEFAULT_LIMITS;

/// A finalised upload, with its intent.
async fn finalised(f: &Fixture) -> (Reservation, Intent) {
    f.create(id(1), f.reported(Method::Put, 1)).await;
    let upload = f.admit(id(1), Access::Put).await;
    let intent = f.intent();
    let lease = f
        .stores
        .tokens
        .finalise(&upload, intent.clone(), LEASE)
        .await;
    assert_eq!(lease.unwrap(), LeaseState::Held);
    (upload, intent)
}

/// No other claim gets the event before the claim of the commit lapses.
pub async fn a_commit_can_claim_its_event(f: Fixture) {
    let (upload, _) = finalised(&f).await;
    let report = report(Outcome::Complete);
    let tokens = &f.stores.tokens;
    let committed = tokens
        .commit_claiming(upload, report.clone(), Some(LEASE))
        .await;
    let (lease, claimed) = committed.unwrap();
    assert_eq!(lease, LeaseState::Held);
    let claimed = claimed.unwrap();
    assert_eq!(claimed.event.token_id, id(1));
    assert_eq!(claimed.event.report, report);
    assert!(claimed.attempts.is_empty());
    assert_eq!(f.used(id(1)).await, 1);
    assert!(f.take_events().await.is_empty());
    let callbacks = &f.stores.callbacks;
    assert_eq!(callbacks.stats().await.unwrap().pending, 1);
    f.advance(PAST_LEASE).await;
    let again = callbacks.claim(1, LEASE).await.unwrap().remove(0);
    assert_eq!(again.event, claimed.event);
    callbacks.ack(&claimed.event.id).await.unwrap();
    assert_eq!(callbacks.stats().await.unwrap().pending, 0);
}

pub async fn an_event_claimed_with_its_commit_is_acked_or_retried(f: Fixture) {
    for (n, deliver) in [(1, true), (2, false)] {
        f.create(id(n), f.reported(Method::Put, 1)).await;
        let upload = f.admit(id(n), Access::Put).await;
        let tokens = &f.stores.tokens;
        f.finalise(&upload).await;
        let report = report(Outcome::Complete);
        let committed = tokens
            .commit_claiming(upload, report, Some(ms(60_000)))
            .await;
        let event = committed.unwrap().1.unwrap().event.id;
        let callbacks = &f.stores.callbacks;
        if deliver {
            callbacks.ack(&event).await.unwrap();
            assert_eq!(callbacks.stats().await.unwrap().pending, 0);
            continue;
        }
        let attempt = f.attempt("status_500");
        let retried = callbacks.retry(&event, attempt.clone(), f.now_ms()).await;
        retried.unwrap();
        f.advance(ms(5)).await;
        let again = callbacks.claim(1, LEASE).await.unwrap().remove(0);
        assert_eq!((again.event.id, again.attempts), (event, vec![attempt]));
    }
}

pub async fn without_a_callback_or_a_lease_nothing_is_claimed(f: Fixture) {
    f.create(id(1), f.limited(Method::Put, 2)).await;
    let tokens = &f.stores.tokens;
    let report = report(Outcome::Complete);
    for lapsed in [false, true] {
        let upload = f.admit(id(1), Access::Put).await;
        if lapsed {
            f.advance(PAST_LEASE).await;
        } else {
            f.finalise(&upload).await;
        }
        let committed = tokens
            .commit_claiming(upload, report.clone(), Some(LEASE))
            .await;
        let (lease, claimed) = committed.unwrap();
        assert_eq!(
            lease,
            if lapsed {
                LeaseState::Lost
            } else {
                LeaseState::Held
            }
        );
        assert!(claimed.is_none());
    }
    assert_eq!(f.used(id(1)).await, 1);
}

async fn sweep(f: &Fixture) -> Vec<UnsettledUpload> {
    f.stores.tokens.sweep(LEASE).await.unwrap()
}

async fn taken_over(f: &Fixture) -> UnsettledUpload {
    let mut unsettled = sweep(f).await;
    assert_eq!(unsettled.len(), 1);
    unsettled.remove(0)
}

pub async fn an_upload_counts_and_reports_once(f: Fixture) {
    let (upload, _) = finalised(&f).await;
    assert!(sweep(&f).await.is_empty());
    assert_eq!(f.commit(upload).await, LeaseState::Held);
    let stored = f.stores.tokens.get(id(1)).await.unwrap().unwrap();
    assert_eq!(stored.used_hits, 1);
    let uploaded_at = stored.uploaded_at.unwrap();
    assert!(uploaded_at >= f.now() - 2 && uploaded_at <= f.now());
    let events = f.take_events().await;
    assert_eq!(events.len(), 1);
    let event = &events[0];
    assert_eq!(event.token_id, id(1));
    assert_eq!(event.target, "https://back.example.com/hook");
    assert_eq!(
        (&*event.method, &*event.bucket, &*event.key),
        ("PUT", "bucket", "a/key")
    );
    // The caller comes from the intent, because recovery has no request.
    assert_eq!(event.caller, Caller::from(CALLER));
    assert_eq!(event.report, report(Outcome::Complete));
    f.advance(PAST_LEASE).await;
    assert!(sweep(&f).await.is_empty());
    assert_eq!(f.used(id(1)).await, 1);
}

pub async fn finalise_renews_the_lease(f: Fixture) {
    f.create(id(1), f.limited(Method::Put, 1)).await;
    let upload = f.admit(id(1), Access::Put).await;
    f.advance(ms(300)).await;
    f.finalise(&upload).await;
    f.advance(ms(300)).await;
    assert_eq!(f.renew(&upload).await, LeaseState::Held);
    f.advance(ms(300)).await;
    assert!(sweep(&f).await.is_empty());
    assert_eq!(f.commit(upload).await, LeaseState::Held);
}

pub async fn a_lapsed_finalising_upload_is_handed_out_once(f: Fixture) {
    let (upload, intent) = finalised(&f).await;
    f.advance(PAST_LEASE).await;
    assert_eq!(f.refusal(id(1), Access::Put).await, Refusal::HitsExceeded);
    let unsettled = taken_over(&f).await;
    assert_eq!(unsettled.intent, intent);
    assert_eq!(unsettled.record.max_hits, Some(1));
    assert_eq!(unsettled.reservation.token_id(), id(1));
    // The object carries the marker of the original lease.
    assert_eq!(unsettled.reservation.marker(), upload.marker());
    assert!(sweep(&f).await.is_empty(), "handed out twice");
    assert_eq!(f.refusal(id(1), Access::Put).await, Refusal::HitsExceeded);
    assert_eq!(f.commit(unsettled.reservation).await, LeaseState::Held);
    assert_eq!(f.commit(upload).await, LeaseState::Lost);
    assert_eq!(f.used(id(1)).await, 1);
    assert_eq!(f.take_events().await.len(), 1);
}

pub async fn a_holder_whose_upload_was_taken_over_cannot_commit(f: Fixture) {
    let (upload, _) = finalised(&f).await;
    f.advance(PAST_LEASE).await;
    let unsettled = taken_over(&f).await;
    assert_eq!(f.renew(&upload).await, LeaseState::Lost);
    assert_eq!(f.finalise(&upload).await, LeaseState::Lost);
    assert_eq!(f.commit(upload).await, LeaseState::Lost);
    assert_eq!(f.used(id(1)).await, 0);
    assert!(f.take_events().await.is_empty());
    assert_eq!(f.commit(unsettled.reservation).await, LeaseState::Held);
    assert_eq!(f.used(id(1)).await, 1);
}

pub async fn a_holder_whose_upload_was_taken_over_cannot_release(f: Fixture) {
    let (upload, _) = finalised(&f).await;
    f.advance(PAST_LEASE).await;
    let unsettled = taken_over(&f).await;
    f.stores.tokens.release(upload, 0, None).await.unwrap();
    assert_eq!(f.refusal(id(1), Access::Put).await, Refusal::HitsExceeded);
    assert_eq!(f.commit(unsettled.reservation).await, LeaseState::Held);
    assert_eq!(f.used(id(1)).await, 1);
}

pub async fn recovery_may_release_an_upload(f: Fixture) {
    let (upload, _) = finalised(&f).await;
    f.advance(PAST_LEASE).await;
    let unsettled = taken_over(&f).await;
    f.stores
        .tokens
        .release(unsettled.reservation, 0, None)
        .await
        .unwrap();
    assert_eq!(f.commit(upload).await, LeaseState::Lost);
    assert_eq!(f.used(id(1)).await, 0);
    assert!(f.take_events().await.is_empty());
    f.admit(id(1), Access::Put).await;
}

pub async fn an_upload_whose_recovery_dies_is_handed_out_again(f: Fixture) {
    let (_, intent) = finalised(&f).await;
    f.advance(PAST_LEASE).await;
    let second = taken_over(&f).await;
    f.advance(PAST_LEASE).await;
    let third = taken_over(&f).await;
    assert_eq!(third.intent, intent);
    assert_eq!(f.commit(second.reservation).await, LeaseState::Lost);
    assert_eq!(f.commit(third.reservation).await, LeaseState::Held);
    assert_eq!(f.used(id(1)).await, 1);
    assert_eq!(f.take_events().await.len(), 1);
}

pub async fn a_failed_finalising_upload_is_released(f: Fixture) {
    let (upload, _) = finalised(&f).await;
    f.stores.tokens.release(upload, 0, None).await.unwrap();
    f.advance(PAST_LEASE).await;
    assert!(sweep(&f).await.is_empty());
    f.admit(id(1), Access::Put).await;
    assert!(f.take_events().await.is_empty());
}

pub async fn deleting_the_token_ends_a_finalising_upload(f: Fixture) {
    let (upload, _) = finalised(&f).await;
    f.stores.tokens.delete(id(1)).await.unwrap();
    f.advance(PAST_LEASE).await;
    assert!(sweep(&f).await.is_empty());
    assert_eq!(f.commit(upload).await, LeaseState::Lost);
    assert!(f.take_events().await.is_empty());
}

pub async fn the_event_goes_to_the_callback_at_commit_time(f: Fixture) {
    let (upload, _) = finalised(&f).await;
    let callback = Some(Some("https://other.example.com/".to_owned()));
    let metadata = Some([("order".to_owned(), "8".to_owned())].into());
    let patch = Patch {
        callback,
        metadata,
        ..Patch::default()
    };
    f.stores.tokens.patch(id(1), patch).await.unwrap();
    assert_eq!(f.commit(upload).await, LeaseState::Held);
    let events = f.take_events().await;
    assert_eq!(events[0].target, "https://other.example.com/");
    assert_eq!(events[0].metadata["order"], "8");
}

pub async fn several_finalising_uploads_are_handed_out_once_each(f: Fixture) {
    for n in 0..20 {
        f.create(id(n), f.limited(Method::Put, 1)).await;
        let upload = f.admit(id(n), Access::Put).await;
        f.finalise(&upload).await;
    }
    f.advance(PAST_LEASE).await;
    let (a, b) = tokio::join!(sweep(&f), sweep(&f));
    let mut seen: Vec<_> = a
        .iter()
        .chain(&b)
        .map(|u| u.reservation.token_id())
        .collect();
    seen.sort_unstable();
    seen.dedup();
    assert_eq!((seen.len(), a.len() + b.len()), (20, 20));
}

async fn settlement(f: &Fixture, lease: LeaseId) -> Settlement {
    f.stores.tokens.settlement(lease).await.unwrap()
}

pub async fn a_holder_that_lost_its_lease_learns_the_settlement(f: Fixture) {
    let (upload, _) = finalised(&f).await;
    let lease = upload.lease().unwrap();
    assert_eq!(settlement(&f, lease).await, Settlement::Open);
    f.advance(PAST_LEASE).await;
    assert_eq!(settlement(&f, lease).await, Settlement::Open);
    let unsettled = taken_over(&f).await;
    assert_eq!(settlement(&f, lease).await, Settlement::Open);
    assert_eq!(f.commit(unsettled.reservation).await, LeaseState::Held);
    assert_eq!(settlement(&f, lease).await, Settlement::Counted);
    // The settlement outlives the rest of the lease.
    f.advance(PAST_LEASE).await;
    assert!(sweep(&f).await.is_empty());
    assert_eq!(settlement(&f, lease).await, Settlement::Counted);
    assert_eq!(f.commit(upload).await, LeaseState::Lost);
    assert_eq!(f.used(id(1)).await, 1);
}

pub async fn the_settlement_of_a_released_lease_is_void(f: Fixture) {
    let (upload, _) = finalised(&f).await;
    let lease = upload.lease().unwrap();
    f.advance(PAST_LEASE).await;
    let unsettled = taken_over(&f).await;
    let release = f.stores.tokens.release(unsettled.reservation, 0, None);
    release.await.unwrap();
    assert_eq!(settlement(&f, lease).await, Settlement::Void);

    // The hit is free; the settlement of a later upload is another one.
    let second = f.admit(id(1), Access::Put).await;
    let lease = second.lease().unwrap();
    assert_eq!(settlement(&f, lease).await, Settlement::Void);
    f.finalise(&second).await;
    assert_eq!(settlement(&f, lease).await, Settlement::Open);
    f.stores.tokens.delete(id(1)).await.unwrap();
    assert_eq!(settlement(&f, lease).await, Settlement::Void);
    drop(upload);
}
