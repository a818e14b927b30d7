//! A store with one entry of each kind, and the checks of it after a move.

use std::time::Duration;

use asset_gateway_backends::conformance::fixture::{
    Fixture, LEASE, Time, attempt, caller, id, request,
};
use asset_gateway_backends::settings::TokenStoreSettings;
use asset_gateway_backends::token_store::{
    Access, Charged, HitOn, LeaseState, Method, MultipartUpload, Refusal, ReserveRequest, Reserved,
};
use asset_gateway_backends::transfer::Counts;

use super::{serve, until};

/// Lease of a recovered upload, longer than any test takes.
const RECOVERY_LEASE: Duration = Duration::from_secs(600);
/// Pause before an abandoned upload is handed out again.
const ABORT_RETRY: Duration = Duration::from_millis(1);

/// The entries of a filled store.
pub const COUNTS: Counts = Counts {
    tokens: 6,
    finalising: 1,
    uploads: 1,
    downloads: 1,
    pending: 2,
    dead: 1,
};

fn download() -> ReserveRequest<'static> {
    request(Access::Get)
}

/// Fills a store with one entry of each kind, and closes it.
pub async fn fill(settings: &TokenStoreSettings) {
    let fixture = Fixture {
        stores: serve(settings),
        time: Time::Real,
        guard: Box::new(()),
    };
    let now = fixture.now();

    let mut partly_used = fixture.limited(Method::Get, 4);
    partly_used.tags = vec!["a".into(), "b".into()];
    partly_used.metadata = [("order".to_owned(), "\"7\" ü".to_owned())].into();
    partly_used.allowed_ips = vec!["192.0.2.0/24".parse().unwrap()];
    partly_used.filename = "ü.pdf".into();
    fixture.create(id(1), partly_used).await;
    let rules = match fixture.reserve(id(1), &download()).await {
        Reserved::CheckRules { incarnation, .. } => incarnation,
        other => panic!("{other:?}"),
    };
    for _ in 0..2 {
        let mut request = download();
        request.rules_checked = Some(rules);
        fixture.admit_with(id(1), &request).await;
    }

    let mut complete = fixture.limited(Method::Get, 3);
    complete.hit_on = HitOn::Complete;
    fixture.create(id(2), complete).await;
    let whole = fixture.admit(id(2), Access::Get).await;
    let charged = fixture.stores.tokens.charge(&whole, 42, 100).await.unwrap();
    assert_eq!(charged, Charged::Done);
    assert_eq!(fixture.commit(whole).await, LeaseState::Held);
    // This lease ends with its process.
    let _lapsed = fixture.admit(id(2), Access::Get).await;

    let mut expired = fixture.record(Method::Get);
    expired.expire_at = now - 10;
    fixture.create(id(3), expired).await;
    let mut gone = fixture.record(Method::Get);
    gone.expire_at = now - 100_000;
    fixture.create(id(4), gone).await;

    let mut window = fixture.limited(Method::Get, 1);
    window.hit_window_seconds = Some(3_600);
    fixture.create(id(5), window).await;
    fixture.admit(id(5), Access::Get).await;
    fixture.admit(id(5), Access::Get).await;

    fixture
        .create(id(6), fixture.reported(Method::Put, 2))
        .await;
    let uploaded = fixture.admit(id(6), Access::Put).await;
    assert_eq!(fixture.finalise(&uploaded).await, LeaseState::Held);
    assert_eq!(fixture.commit(uploaded).await, LeaseState::Held);
    let finalising = fixture.admit(id(6), Access::Put).await;
    let multipart = MultipartUpload {
        bucket: "bucket".into(),
        key: "a/key".into(),
        reference: "upload-id".into(),
        began_at_ms: fixture.now_ms(),
    };
    let recorded = fixture
        .stores
        .tokens
        .record_upload(finalising.lease().unwrap(), multipart);
    assert_eq!(recorded.await.unwrap(), LeaseState::Held);
    assert_eq!(fixture.finalise(&finalising).await, LeaseState::Held);

    // A download in flight, with a callback.
    fixture
        .create(id(7), fixture.reported(Method::Get, 2))
        .await;
    fixture.admit(id(7), Access::Get).await;

    let queue = &fixture.stores.callbacks;
    let claimed = queue.claim(10, LEASE).await.unwrap();
    assert_eq!(claimed.len(), 1);
    let event = &claimed[0].event.id;
    for n in 0..3 {
        let failed = attempt("status_500", fixture.now_ms() + n);
        let due = fixture.now_ms() + 60_000;
        queue.retry(event, failed, due).await.unwrap();
    }
    for key in ["dead", "pending"] {
        queue.enqueue(fixture.event(key)).await.unwrap();
    }
    let claimed = queue.claim(1, LEASE).await.unwrap();
    let given_up = attempt("timeout", fixture.now_ms());
    queue
        .dead_letter(&claimed[0].event.id, given_up)
        .await
        .unwrap();
    fixture.stores.tokens.close().await.unwrap();
}

/// Serves from a store that was filled by [`fill`] and moved, and checks each entry.
pub async fn check_filled(settings: &TokenStoreSettings) {
    let fixture = Fixture {
        stores: serve(settings),
        time: Time::Real,
        guard: Box::new(()),
    };
    for (n, used) in [(1, 2), (2, 1), (3, 0), (5, 1), (6, 1), (7, 1)] {
        assert_eq!(fixture.used(id(n)).await, used, "token {n}");
    }
    assert!(fixture.stores.tokens.get(id(4)).await.unwrap().is_none());
    assert_eq!(fixture.refusal(id(3), Access::Get).await, Refusal::Expired);
    // The same client rides on its window; another one has no hit.
    fixture.admit(id(5), Access::Get).await;
    let mut other = download();
    other.caller = caller(9);
    assert_eq!(
        fixture.refusal_with(id(5), &other).await,
        Refusal::HitsExceeded
    );
    // 42 bytes of the budget were charged before the move.
    let whole = fixture.admit(id(2), Access::Get).await;
    let tokens = &fixture.stores.tokens;
    assert_eq!(
        tokens.charge(&whole, 59, 100).await.unwrap(),
        Charged::OverBudget
    );
    assert_eq!(tokens.charge(&whole, 58, 100).await.unwrap(), Charged::Done);
    // The upload left finalising holds its hit, and is handed out once.
    assert_eq!(
        fixture.refusal(id(6), Access::Put).await,
        Refusal::HitsExceeded
    );
    assert!(
        tokens
            .abandoned_uploads(ABORT_RETRY)
            .await
            .unwrap()
            .is_empty()
    );
    let unsettled = tokens.sweep(RECOVERY_LEASE).await.unwrap();
    assert_eq!(unsettled.len(), 1);
    assert!(tokens.sweep(RECOVERY_LEASE).await.unwrap().is_empty());
    for upload in unsettled {
        assert_eq!(upload.reservation.token_id(), id(6));
        tokens.release(upload.reservation, 0, None).await.unwrap();
    }
    let mut abandoned = Vec::new();
    until("the multipart upload is handed out", async || {
        abandoned = tokens.abandoned_uploads(ABORT_RETRY).await.unwrap();
        !abandoned.is_empty()
    })
    .await;
    assert_eq!(abandoned.len(), 1);
    assert_eq!(abandoned[0].upload.reference, "upload-id");
    let stats = fixture.stores.callbacks.stats().await.unwrap();
    assert_eq!(stats.dead, 1);
    tokens.close().await.unwrap();
}
