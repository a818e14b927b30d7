//! Refusals of `reserve`, and their order.

use crate::conformance::fixture::*;
use crate::settings::QueueLimits;
use crate::token_store::{Access, Method, Refusal, ReserveRequest, Reserved, TokenRecord};

pub const LIMITS: QueueLimits = QueueLimits {
    max_pending: 0,
    ..DEFAULT_LIMITS
};

async fn incarnation(f: &Fixture, request: &ReserveRequest<'_>) -> u64 {
    match f.reserve(id(1), request).await {
        Reserved::CheckRules { incarnation, .. } => incarnation,
        other @ (Reserved::Admitted { .. } | Reserved::Refused(_)) => {
            panic!("expected to be asked for the rules, got {other:?}")
        }
    }
}

/// The same request, with the rules checked.
async fn checked<'a>(f: &Fixture, request: ReserveRequest<'a>) -> ReserveRequest<'a> {
    ReserveRequest {
        rules_checked: Some(incarnation(f, &request).await),
        ..request
    }
}

fn with_everything(f: &Fixture) -> TokenRecord {
    let mut record = f.reported(Method::Put, 1);
    record.size = Some(10);
    record.allowed_ips = vec!["192.0.2.0/24".parse().unwrap()];
    record
}

/// A token with every reason for a refusal loses one reason at a time.
pub async fn refusals_come_in_the_documented_order(f: Fixture) {
    let too_large = ReserveRequest {
        declared_size: Some(11),
        ..request(Access::Put)
    };
    assert_eq!(f.refusal_with(id(1), &too_large).await, Refusal::NotFound);

    let mut expired = with_everything(&f);
    expired.expire_at = f.now();
    expired.method = Method::Get;
    f.create(id(1), expired).await;
    assert_eq!(f.refusal_with(id(1), &too_large).await, Refusal::Expired);

    let mut for_get = with_everything(&f);
    for_get.method = Method::Get;
    f.create(id(1), for_get).await;
    let refusal = f.refusal_with(id(1), &too_large).await;
    assert_eq!(refusal, Refusal::Method(Method::Get));

    f.stores.tokens.delete(id(1)).await.unwrap();
    f.create(id(1), with_everything(&f)).await;
    let wanted = checked(&f, too_large).await;
    let refusal = f.refusal_with(id(1), &wanted).await;
    assert_eq!(refusal, Refusal::SizeExceeded { limit: 10 });

    f.stores.tokens.delete(id(1)).await.unwrap();
    let mut without_hits = with_everything(&f);
    without_hits.max_hits = Some(0);
    f.create(id(1), without_hits).await;
    let fits = ReserveRequest {
        declared_size: Some(10),
        ..too_large
    };
    let wanted = checked(&f, fits).await;
    assert_eq!(f.refusal_with(id(1), &wanted).await, Refusal::HitsExceeded);

    f.stores.tokens.delete(id(1)).await.unwrap();
    f.create(id(1), with_everything(&f)).await;
    let wanted = checked(&f, fits).await;
    assert_eq!(f.refusal_with(id(1), &wanted).await, Refusal::QueueFull);
    // A refusal holds no hit.
    let patch = crate::token_store::Patch {
        callback: Some(None),
        ..Default::default()
    };
    f.stores.tokens.patch(id(1), patch).await.unwrap();
    f.admit_with(id(1), &wanted).await;
}

pub async fn a_token_permits_one_method(f: Fixture) {
    for (n, method) in [Method::Get, Method::Head, Method::Put]
        .into_iter()
        .enumerate()
    {
        let id = id(n as u64);
        let created = f.record(method);
        f.create(id, created.clone()).await;
        for (access, wanted) in [(Access::Get, Method::Get), (Access::Put, Method::Put)] {
            match f.reserve(id, &request(access)).await {
                Reserved::Admitted { record, .. } => {
                    assert_eq!((method, &record), (wanted, &created));
                }
                Reserved::Refused(refusal) => {
                    assert_ne!(method, wanted);
                    assert_eq!(refusal, Refusal::Method(method));
                }
                Reserved::CheckRules { .. } => panic!("there are no rules"),
            }
        }
    }
}

pub async fn the_declared_size_of_an_upload_is_checked(f: Fixture) {
    let mut record = f.record(Method::Put);
    record.size = Some(10);
    f.create(id(1), record.clone()).await;
    record.method = Method::Get;
    f.create(id(2), record).await;
    let declared = |declared_size, access| ReserveRequest {
        declared_size,
        ..request(access)
    };
    let refusal = f
        .refusal_with(id(1), &declared(Some(11), Access::Put))
        .await;
    assert_eq!(refusal, Refusal::SizeExceeded { limit: 10 });
    f.admit_with(id(1), &declared(Some(10), Access::Put)).await;
    f.admit_with(id(1), &declared(None, Access::Put)).await;
    f.admit_with(id(2), &declared(Some(11), Access::Get)).await;
}

pub async fn rules_are_returned_and_count_nothing(f: Fixture) {
    let mut records = [(); 3].map(|()| f.limited(Method::Get, 1));
    records[0].allowed_ips = vec!["192.0.2.0/24".parse().unwrap()];
    records[1].allowed_referers = vec!["https://example.com/".into()];
    records[2].not_before = Some(f.now() + 100);
    for record in records {
        f.create(id(1), record.clone()).await;
        let plain = request(Access::Get);
        let first = incarnation(&f, &plain).await;
        let wanted = checked(&f, plain).await;
        assert_eq!(wanted.rules_checked, Some(first));
        f.admit_with(id(1), &wanted).await;
        assert_eq!(f.used(id(1)).await, 1);
        f.stores.tokens.delete(id(1)).await.unwrap();
    }
}

pub async fn rules_of_an_earlier_incarnation_are_returned_again(f: Fixture) {
    let mut record = f.limited(Method::Get, 1);
    record.allowed_ips = vec!["192.0.2.0/24".parse().unwrap()];
    f.create(id(1), record.clone()).await;
    let stale = checked(&f, request(Access::Get)).await;
    f.stores.tokens.delete(id(1)).await.unwrap();
    f.create(id(1), record).await;
    let wanted = checked(&f, stale).await;
    f.admit_with(id(1), &wanted).await;
}
