//! `patch`: fields of a token change.

use crate::conformance::fixture::*;
use crate::settings::QueueLimits;
use crate::token_store::{Access, Filter, Method, Patch, Refusal, StoredToken, TokenState};

pub const LIMITS: QueueLimits = DEFAULT_LIMITS;

async fn patch(f: &Fixture, patch: Patch) -> StoredToken {
    let patched = f.stores.tokens.patch(id(1), patch).await.unwrap().unwrap();
    let stored = f.stores.tokens.get(id(1)).await.unwrap();
    assert_eq!(stored.as_ref(), Some(&patched));
    patched
}

fn until(expire_at: u64) -> Patch {
    Patch {
        expire_at: Some(expire_at),
        ..Patch::default()
    }
}

fn at_most(max_hits: u64) -> Patch {
    Patch {
        max_hits: Some(Some(max_hits)),
        ..Patch::default()
    }
}

pub async fn each_field_is_patched_alone(f: Fixture) {
    let mut expected = f.limited(Method::Get, 3);
    expected.tags = vec!["tag".into()];
    f.create(id(1), expected.clone()).await;
    f.admit(id(1), Access::Get).await;

    assert_eq!(patch(&f, Patch::default()).await.record, expected);

    expected.expire_at += 60;
    let patched = patch(&f, until(expected.expire_at)).await;
    assert_eq!((&patched.record, patched.used_hits), (&expected, 1));

    expected.max_hits = Some(9);
    assert_eq!(patch(&f, at_most(9)).await.record, expected);

    expected.callback = Some("https://back.example.com/".into());
    let change = Patch {
        callback: Some(expected.callback.clone()),
        ..Patch::default()
    };
    assert_eq!(patch(&f, change).await.record, expected);

    expected.metadata = [("a".to_owned(), "b".to_owned())].into();
    let change = Patch {
        metadata: Some(expected.metadata.clone()),
        ..Patch::default()
    };
    assert_eq!(patch(&f, change).await.record, expected);
}

pub async fn optional_fields_are_cleared(f: Fixture) {
    let bare = f.record(Method::Get);
    let mut record = bare.clone();
    record.max_hits = Some(3);
    record.callback = Some("https://back.example.com/".into());
    record.metadata = [("a".to_owned(), "b".to_owned())].into();
    f.create(id(1), record).await;
    let cleared = Patch {
        max_hits: Some(None),
        callback: Some(None),
        metadata: Some(Default::default()),
        ..Patch::default()
    };
    assert_eq!(patch(&f, cleared).await.record, bare);
}

pub async fn an_expired_token_is_revived(f: Fixture) {
    let mut record = f.limited(Method::Get, 2);
    record.expire_at = f.now() + 2;
    f.create(id(1), record).await;
    f.admit(id(1), Access::Get).await;
    f.advance(ms(2500)).await;
    assert_eq!(f.refusal(id(1), Access::Get).await, Refusal::Expired);
    assert_eq!(patch(&f, until(f.now() + 60)).await.used_hits, 1);
    f.admit(id(1), Access::Get).await;
    assert_eq!(f.refusal(id(1), Access::Get).await, Refusal::HitsExceeded);
}

pub async fn a_sweep_uses_the_patched_expiry(f: Fixture) {
    let grace = crate::token_store::GRACE_SECONDS;
    f.create(id(1), f.record(Method::Get)).await;
    patch(&f, until(f.now() - grace + 2)).await;
    patch(&f, until(f.now() + 60)).await;
    f.advance(ms(2500)).await;
    f.stores.tokens.sweep(LEASE).await.unwrap();
    f.admit(id(1), Access::Get).await;
}

pub async fn max_hits_may_be_patched_below_used_hits(f: Fixture) {
    f.create(id(1), f.limited(Method::Get, 5)).await;
    for _ in 0..3 {
        f.admit(id(1), Access::Get).await;
    }
    assert_eq!(patch(&f, at_most(2)).await.used_hits, 3);
    assert_eq!(f.refusal(id(1), Access::Get).await, Refusal::HitsExceeded);
    let filter = Filter {
        state: Some(TokenState::Exhausted),
        ..Filter::default()
    };
    let page = f
        .stores
        .tokens
        .list(&filter, 10, None)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(page.tokens.len(), 1);
    patch(&f, at_most(4)).await;
    f.admit(id(1), Access::Get).await;
    assert_eq!(f.refusal(id(1), Access::Get).await, Refusal::HitsExceeded);
}

pub async fn a_new_limit_counts_earlier_unlimited_hits(f: Fixture) {
    f.create(id(1), f.record(Method::Get)).await;
    let given_back = f.admit(id(1), Access::Get).await;
    f.admit(id(1), Access::Get).await;
    assert_eq!(patch(&f, at_most(2)).await.used_hits, 2);
    assert_eq!(f.refusal(id(1), Access::Get).await, Refusal::HitsExceeded);
    f.stores.tokens.release(given_back, 0, None).await.unwrap();
    f.admit(id(1), Access::Get).await;
    assert_eq!(f.refusal(id(1), Access::Get).await, Refusal::HitsExceeded);
    f.stores.tokens.flush_usage().await.unwrap();
    assert_eq!(f.used(id(1)).await, 2);
    assert_eq!(f.refusal(id(1), Access::Get).await, Refusal::HitsExceeded);
}
