//! Hits that are counted at admission, and hits of unlimited tokens.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use futures_util::future::join_all;

use crate::conformance::fixture::*;
use crate::settings::QueueLimits;
use crate::token_store::{Access, HitOn, LeaseState, Method, Refusal, Reserved};

pub const LIMITS: QueueLimits = DEFAULT_LIMITS;

pub async fn two_hundred_concurrent_accesses_get_ten_hits(f: Fixture) {
    let mut complete = f.limited(Method::Get, 10);
    complete.hit_on = HitOn::Complete;
    let records = [
        (f.limited(Method::Get, 10), Access::Get),
        (f.limited(Method::Put, 10), Access::Put),
        (complete, Access::Get),
    ];
    for (n, (record, access)) in records.into_iter().enumerate() {
        let id = id(n as u64);
        f.create(id, record).await;
        let attempts = (0..200).map(|_| {
            let tokens = f.stores.tokens.clone();
            tokio::spawn(async move { tokens.reserve(id, &request(access)).await.unwrap() })
        });
        let mut admitted = 0;
        for reserved in join_all(attempts).await {
            match reserved.unwrap() {
                Reserved::Admitted { .. } => admitted += 1,
                Reserved::Refused(refusal) => assert_eq!(refusal, Refusal::HitsExceeded),
                Reserved::CheckRules { .. } => panic!("there are no rules"),
            }
        }
        assert_eq!(admitted, 10);
    }
}

pub async fn a_counted_hit_is_spent_at_once_and_released_once(f: Fixture) {
    f.create(id(1), f.limited(Method::Get, 2)).await;
    let first = f.admit(id(1), Access::Get).await;
    assert!(first.lease().is_none() && !first.wants_commit());
    assert_eq!((first.token_id(), first.marker()), (id(1), None));
    assert_eq!(f.used(id(1)).await, 1);
    f.admit(id(1), Access::Get).await;
    assert_eq!(f.refusal(id(1), Access::Get).await, Refusal::HitsExceeded);
    f.stores.tokens.release(first, 0, None).await.unwrap();
    assert_eq!(f.used(id(1)).await, 1);
    let again = f.admit(id(1), Access::Get).await;
    assert_eq!(f.commit(again).await, LeaseState::Held);
    assert_eq!(f.used(id(1)).await, 2);
    assert_eq!(f.refusal(id(1), Access::Get).await, Refusal::HitsExceeded);
}

pub async fn a_hit_of_an_earlier_incarnation_is_not_released(f: Fixture) {
    for max_hits in [Some(1), None] {
        let mut record = f.record(Method::Get);
        record.max_hits = max_hits;
        f.create(id(1), record.clone()).await;
        let old = f.admit(id(1), Access::Get).await;
        f.stores.tokens.delete(id(1)).await.unwrap();
        f.create(id(1), record).await;
        f.admit(id(1), Access::Get).await;
        f.stores.tokens.release(old, 0, None).await.unwrap();
        assert_eq!(f.used(id(1)).await, 1);
        f.stores.tokens.delete(id(1)).await.unwrap();
    }
}

pub async fn all_hits_of_an_unlimited_token_are_counted(f: Fixture) {
    f.create(id(1), f.record(Method::Get)).await;
    let mut reservations = Vec::new();
    for _ in 0..5 {
        reservations.push(f.admit(id(1), Access::Get).await);
    }
    assert_eq!(f.used(id(1)).await, 5);
    f.stores.tokens.flush_usage().await.unwrap();
    assert_eq!(f.used(id(1)).await, 5);
    f.stores.tokens.flush_usage().await.unwrap();
    f.admit(id(1), Access::Get).await;
    assert_eq!(f.used(id(1)).await, 6);
    for reservation in reservations {
        assert!(!reservation.wants_commit());
        f.stores.tokens.release(reservation, 0, None).await.unwrap();
    }
    assert_eq!(f.used(id(1)).await, 1);
    f.stores.tokens.flush_usage().await.unwrap();
    assert_eq!(f.used(id(1)).await, 1);
}

pub async fn unwritten_hits_end_with_their_token(f: Fixture) {
    f.create(id(1), f.record(Method::Get)).await;
    f.admit(id(1), Access::Get).await;
    f.stores.tokens.delete(id(1)).await.unwrap();
    f.create(id(1), f.record(Method::Get)).await;
    f.stores.tokens.flush_usage().await.unwrap();
    assert_eq!(f.used(id(1)).await, 0);
}

/// `hit_on` makes no difference without a limit.
pub async fn an_unlimited_download_is_not_leased(f: Fixture) {
    let mut record = f.record(Method::Get);
    record.hit_on = HitOn::Complete;
    f.create(id(1), record).await;
    assert!(f.admit(id(1), Access::Get).await.lease().is_none());
    assert_eq!(f.used(id(1)).await, 1);
}

/// Polls a future up to `times`, and drops it if it is not ready then.
async fn poll_and_drop<T>(times: usize, future: impl Future<Output = T>) -> Option<T> {
    let mut future = pin!(future);
    for _ in 0..times {
        if let Poll::Ready(ready) = future
            .as_mut()
            .poll(&mut Context::from_waker(Waker::noop()))
        {
            return Some(ready);
        }
        // Waits in real time, for a disk or a server.
        tokio::time::sleep(ms(2)).await;
    }
    None
}

pub async fn a_dropped_reserve_releases_its_hit(f: Fixture) {
    let mut windowed = f.limited(Method::Get, 1);
    windowed.hit_window_seconds = Some(60);
    let records = [
        (f.limited(Method::Get, 1), Access::Get),
        (f.limited(Method::Put, 1), Access::Put),
        (f.reported(Method::Get, 1), Access::Get),
        (windowed, Access::Get),
    ];
    for (n, (record, access)) in records.into_iter().enumerate() {
        let id = id(n as u64);
        f.create(id, record).await;
        let mut ended = false;
        for polls in 1..50 {
            let wanted = request(access);
            let dropped = poll_and_drop(polls, f.stores.tokens.reserve(id, &wanted)).await;
            ended = dropped.is_some();
            let reservation = match dropped {
                Some(Ok(Reserved::Admitted { reservation, .. })) => reservation,
                None => admitted_soon(&f, id, access).await,
                Some(other) => panic!("expected to be admitted, got {other:?}"),
            };
            f.stores.tokens.release(reservation, 0, None).await.unwrap();
            assert_eq!(f.used(id).await, 0);
            if ended {
                break;
            }
        }
        assert!(ended, "reserve never came to an end");
    }
    assert!(f.take_events().await.is_empty());
}

/// A remote store may release the hit a moment after the future is dropped.
async fn admitted_soon(
    f: &Fixture,
    id: crate::token_store::TokenId,
    access: Access,
) -> crate::token_store::Reservation {
    let mut wanted = request(access);
    // Another client, so that it does not ride on the hit that is being released.
    wanted.caller = caller(2);
    for _ in 0..100 {
        match f.reserve(id, &wanted).await {
            Reserved::Admitted { reservation, .. } => return reservation,
            Reserved::Refused(Refusal::HitsExceeded) => tokio::time::sleep(ms(10)).await,
            other @ (Reserved::Refused(_) | Reserved::CheckRules { .. }) => panic!("{other:?}"),
        }
    }
    panic!("the hit was not given back")
}
