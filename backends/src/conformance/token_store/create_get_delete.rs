//! `create`, `get` and `delete`: batches, conflicts, expiry, the grace period.

use crate::conformance::fixture::*;
use crate::settings::QueueLimits;
use crate::token_store::{
    Access, BodyTemplate, BodyType, CallbackMode, Created, Disposition, Filter, GRACE_SECONDS,
    HitOn, Method, Refusal,
};

pub const LIMITS: QueueLimits = DEFAULT_LIMITS;

pub async fn a_created_token_is_returned_unchanged(f: Fixture) {
    let mut record = f.limited(Method::Put, 3);
    record.filename = "Überblick 1.pdf".into();
    record.size = Some(1024);
    record.callback = Some("https://back.example.com/hook".into());
    record.callback_body = Some(BodyTemplate {
        text: "{\"报告\": ${x:order}, \"\\\": \"/${object}\"}".into(),
        kind: BodyType::Json,
    });
    record.callback_mode = CallbackMode::Sync;
    record.disposition = Some(Disposition::Inline);
    record.content_type = Some("application/pdf".into());
    record.allow_overwrite = false;
    record.not_before = Some(f.now() - 10);
    record.allowed_ips = vec!["192.0.2.0/24".parse().unwrap()];
    record.allowed_referers = vec!["https://example.com/".into()];
    record.hit_window_seconds = Some(60);
    record.hit_on = HitOn::Complete;
    record.metadata = [("order".to_owned(), "7".to_owned())].into();
    record.tags = vec!["one".into(), "two".into()];
    f.create(id(1), record.clone()).await;
    let bare = f.record(Method::Get);
    f.create(id(2), bare.clone()).await;

    let stored = f.stores.tokens.get(id(1)).await.unwrap().unwrap();
    assert_eq!((stored.id, &stored.record), (id(1), &record));
    assert_eq!((stored.used_hits, stored.uploaded_at), (0, None));
    let plain = f.stores.tokens.get(id(2)).await.unwrap().unwrap();
    assert_eq!(plain.record, bare);
}

pub async fn a_missing_token_is_an_answer(f: Fixture) {
    let tokens = &f.stores.tokens;
    assert_eq!(tokens.get(id(1)).await.unwrap(), None);
    assert_eq!(tokens.patch(id(1), Default::default()).await.unwrap(), None);
    assert!(!tokens.delete(id(1)).await.unwrap());
    assert_eq!(f.refusal(id(1), Access::Get).await, Refusal::NotFound);
    tokens.ping().await.unwrap();
}

pub async fn a_taken_id_is_refused(f: Fixture) {
    f.create(id(1), f.limited(Method::Get, 1)).await;
    let again = vec![(id(1), f.record(Method::Put))];
    let created = f.stores.tokens.create(again).await.unwrap();
    assert_eq!(created, Created::Exists { index: 0 });
    let stored = f.stores.tokens.get(id(1)).await.unwrap().unwrap();
    assert_eq!(stored.record.method, Method::Get);
}

pub async fn a_conflict_undoes_the_batch(f: Fixture) {
    f.create(id(3), f.record(Method::Get)).await;
    let batch = [1, 2, 3, 4].map(|n| (id(n), f.record(Method::Get)));
    let created = f.stores.tokens.create(batch.into()).await.unwrap();
    assert_eq!(created, Created::Exists { index: 2 });
    let twice = [1, 2, 1].map(|n| (id(n), f.record(Method::Get)));
    let created = f.stores.tokens.create(twice.into()).await.unwrap();
    assert_eq!(created, Created::Exists { index: 2 });
    for n in [1, 2, 4] {
        assert_eq!(f.stores.tokens.get(id(n)).await.unwrap(), None);
    }
    let page = f.stores.tokens.list(&Filter::default(), 10, None).await;
    assert_eq!(page.unwrap().unwrap().tokens.len(), 1);
}

pub async fn a_batch_of_a_thousand(f: Fixture) {
    let batch: Vec<_> = (0..1000).map(|n| (id(n), f.record(Method::Get))).collect();
    assert_eq!(f.stores.tokens.create(batch).await.unwrap(), Created::Done);
    assert!(f.stores.tokens.get(id(0)).await.unwrap().is_some());
    assert!(f.stores.tokens.get(id(999)).await.unwrap().is_some());
}

pub async fn one_of_many_concurrent_creates_wins(f: Fixture) {
    let attempts = (0..20).map(|_| f.stores.tokens.create(vec![(id(1), f.record(Method::Get))]));
    let results = futures_util::future::join_all(attempts).await;
    let done = results
        .into_iter()
        .filter(|r| *r.as_ref().unwrap() == Created::Done);
    assert_eq!(done.count(), 1);
}

pub async fn an_expired_token_is_known_for_its_grace_period(f: Fixture) {
    let mut record = f.limited(Method::Get, 1);
    record.expire_at = f.now() + 1;
    f.create(id(1), record).await;
    f.advance(ms(2000)).await;
    assert!(f.stores.tokens.get(id(1)).await.unwrap().is_some());
    assert_eq!(f.refusal(id(1), Access::Get).await, Refusal::Expired);
    assert!(f.stores.tokens.delete(id(1)).await.unwrap());
    assert_eq!(f.refusal(id(1), Access::Get).await, Refusal::NotFound);
}

pub async fn a_token_past_its_grace_period_is_gone(f: Fixture) {
    let mut record = f.record(Method::Get);
    // Waits for a full second, because expiry has a resolution of one.
    record.expire_at = f.now() - GRACE_SECONDS + 2;
    record.tags = vec!["tag".into()];
    f.create(id(1), record).await;
    f.create(id(2), f.record(Method::Get)).await;
    assert_eq!(f.refusal(id(1), Access::Get).await, Refusal::Expired);
    f.advance(ms(2500)).await;
    // Before and after a sweep.
    for _ in 0..2 {
        let tokens = &f.stores.tokens;
        assert_eq!(f.refusal(id(1), Access::Get).await, Refusal::NotFound);
        assert_eq!(tokens.get(id(1)).await.unwrap(), None);
        assert_eq!(tokens.patch(id(1), Default::default()).await.unwrap(), None);
        let page = tokens.list(&Filter::default(), 10, None).await.unwrap();
        assert_eq!(page.unwrap().tokens.len(), 1);
        assert!(tokens.sweep(LEASE).await.unwrap().is_empty());
    }
    assert!(!f.stores.tokens.delete(id(1)).await.unwrap());
    assert!(f.stores.tokens.get(id(2)).await.unwrap().is_some());
}

pub async fn deleting_a_token_takes_effect_at_once(f: Fixture) {
    let mut record = f.limited(Method::Get, 5);
    record.tags = vec!["tag".into()];
    f.create(id(1), record).await;
    assert!(f.stores.tokens.delete(id(1)).await.unwrap());
    assert!(!f.stores.tokens.delete(id(1)).await.unwrap());
    assert_eq!(f.stores.tokens.get(id(1)).await.unwrap(), None);
    assert_eq!(f.refusal(id(1), Access::Get).await, Refusal::NotFound);
    let filter = Filter {
        tag: Some("tag".into()),
        ..Filter::default()
    };
    let page = f.stores.tokens.list(&filter, 10, None).await.unwrap();
    assert!(page.unwrap().tokens.is_empty());
    f.create(id(1), f.record(Method::Get)).await;
    f.admit(id(1), Access::Get).await;
}
