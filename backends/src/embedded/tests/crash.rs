//! State of the store after its process was killed.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::crashable_store::{CrashableStore, Disk, Memory};
use crate::caller::Caller;
use crate::conformance::fixture::{CALLER, attempt, event, report};
use crate::event::Outcome;
use crate::settings::QueueLimits;
use crate::token_store::{
    Access, Created, HitOn, Intent, LeaseState, Method, Reservation, ReserveRequest, Reserved,
    TokenId, TokenRecord,
};

const LEASE: Duration = Duration::from_secs(60);

fn id(n: u8) -> TokenId {
    TokenId([n; 16])
}

fn open(disk: impl Disk + 'static, report_incomplete: bool) -> CrashableStore {
    let limits = QueueLimits {
        max_pending: 100,
        report_incomplete,
        keep_dead: None,
    };
    CrashableStore::new(disk, limits)
}

async fn create(store: &CrashableStore, n: u8, method: Method, hit_on: HitOn) {
    let mut record = TokenRecord::new("bucket", "key", method, 0, u64::MAX / 2);
    record.max_hits = Some(1);
    record.hit_on = hit_on;
    record.callback = Some("https://back.example.com/".into());
    let created = store.create(vec![(id(n), record)]).await.unwrap();
    assert_eq!(created, Created::Done);
}

async fn reserve(store: &CrashableStore, n: u8, access: Access) -> Reservation {
    let request = ReserveRequest {
        access,
        declared_size: None,
        rules_checked: None,
        lease: LEASE,
        caller: CALLER,
    };
    match store.reserve(id(n), &request).await.unwrap() {
        Reserved::Admitted { reservation, .. } => reservation,
        other @ (Reserved::CheckRules { .. } | Reserved::Refused(_)) => panic!("{other:?}"),
    }
}

async fn used(store: &CrashableStore, n: u8) -> u64 {
    store.get(id(n)).await.unwrap().unwrap().used_hits
}

async fn finalise(store: &CrashableStore, reservation: &Reservation) {
    let intent = Intent {
        size: 1,
        caller: Caller::default(),
        at_ms: 7,
    };
    let lease = store.finalise(reservation, intent, LEASE).await;
    assert_eq!(lease.unwrap(), LeaseState::Held);
}

/// Runs `case` in memory and on disk.
fn on_each(case: impl AsyncFn(CrashableStore), report_incomplete: bool) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime.block_on(case(open(Memory::default(), report_incomplete)));
    #[cfg(feature = "sled")]
    runtime.block_on(case(open(
        super::crashable_store::Files::default(),
        report_incomplete,
    )));
}

/// The deadline of the leases is still a minute away.
#[test]
fn leases_end_with_their_process() {
    let case = async |mut store: CrashableStore| {
        create(&store, 1, Method::Put, HitOn::Start).await;
        create(&store, 2, Method::Get, HitOn::Complete).await;
        reserve(&store, 1, Access::Put).await;
        reserve(&store, 2, Access::Get).await;
        store.crash();
        reserve(&store, 1, Access::Put).await;
        reserve(&store, 2, Access::Get).await;
    };
    on_each(case, false);
}

#[test]
fn counted_and_released_hits_survive_a_crash() {
    let case = async |mut store: CrashableStore| {
        create(&store, 1, Method::Get, HitOn::Start).await;
        create(&store, 2, Method::Get, HitOn::Start).await;
        reserve(&store, 1, Access::Get).await;
        let released = reserve(&store, 2, Access::Get).await;
        store.release(released, 0, None).await.unwrap();
        store.crash();
        assert_eq!((used(&store, 1).await, used(&store, 2).await), (1, 0));
        store.sweep(LEASE).await.unwrap();
        assert_eq!((used(&store, 1).await, used(&store, 2).await), (1, 0));
    };
    on_each(case, false);
}

#[test]
fn an_upload_left_finalising_is_handed_out_once() {
    let case = async |mut store: CrashableStore| {
        create(&store, 1, Method::Put, HitOn::Start).await;
        let upload = reserve(&store, 1, Access::Put).await;
        finalise(&store, &upload).await;
        store.crash();
        let mut unsettled = store.sweep(LEASE).await.unwrap();
        assert_eq!(unsettled.len(), 1);
        assert!(store.sweep(LEASE).await.unwrap().is_empty());
        let unsettled = unsettled.remove(0);
        assert_eq!(unsettled.reservation.marker(), upload.marker());
        assert_eq!(unsettled.intent.at_ms, 7);
        let lease = store
            .commit(unsettled.reservation, report(Outcome::Complete))
            .await;
        assert_eq!(lease.unwrap(), LeaseState::Held);
        store.crash();
        assert!(store.sweep(LEASE).await.unwrap().is_empty());
        assert_eq!(used(&store, 1).await, 1);
        assert_eq!(store.claim(9, LEASE).await.unwrap().len(), 1);
    };
    on_each(case, false);
}

#[test]
fn downloads_of_a_dead_process_are_reported_as_interrupted() {
    for report_incomplete in [false, true] {
        let case = async |mut store: CrashableStore| {
            create(&store, 1, Method::Get, HitOn::Start).await;
            reserve(&store, 1, Access::Get).await;
            store.crash();
            for _ in 0..2 {
                store.sweep(LEASE).await.unwrap();
            }
            let claimed = store.claim(9, LEASE).await.unwrap();
            let outcomes: Vec<_> = claimed.iter().map(|c| c.event.report.outcome).collect();
            let expected = [Outcome::Interrupted];
            assert_eq!(outcomes, expected[..usize::from(report_incomplete)]);
        };
        on_each(case, report_incomplete);
    }
}

#[test]
fn a_crash_releases_claims_and_keeps_the_queue() {
    let case = async |mut store: CrashableStore| {
        let events = ["acked", "retried", "dead", "claimed", "waiting"].map(|key| event(key, 7));
        for event in &events {
            store.enqueue(event.clone()).await.unwrap();
            store.advance(1);
        }
        store.claim(4, LEASE).await.unwrap();
        let attempt = attempt("timeout", 7);
        store.ack(&events[0].id).await.unwrap();
        store
            .retry(&events[1].id, attempt.clone(), 8)
            .await
            .unwrap();
        store
            .dead_letter(&events[2].id, attempt.clone())
            .await
            .unwrap();
        store.crash();
        let stats = store.stats().await.unwrap();
        assert_eq!((stats.pending, stats.dead), (3, 1));
        let claimed = store.claim(9, LEASE).await.unwrap();
        let keys: Vec<_> = claimed.iter().map(|c| c.event.key.as_str()).collect();
        assert_eq!(keys, ["retried", "claimed", "waiting"]);
        assert_eq!(claimed[0].attempts, [attempt]);
    };
    on_each(case, false);
}

#[test]
fn flushed_hits_of_unlimited_tokens_survive_a_crash() {
    let case = async |mut store: CrashableStore| {
        let record = TokenRecord::new("bucket", "key", Method::Get, 0, u64::MAX / 2);
        store.create(vec![(id(1), record)]).await.unwrap();
        reserve(&store, 1, Access::Get).await;
        reserve(&store, 1, Access::Get).await;
        store.flush_usage().await.unwrap();
        store.crash();
        assert_eq!(used(&store, 1).await, 2);
        reserve(&store, 1, Access::Get).await;
        store.close().await.unwrap();
        store.crash();
        assert_eq!(used(&store, 1).await, 3);
    };
    on_each(case, false);
}

#[tokio::test]
async fn a_claim_that_is_not_durable_is_released() {
    let disk = Memory::default();
    let broken = Arc::clone(&disk.broken);
    let store = CrashableStore::new(disk, QueueLimits::default());
    store.enqueue(event("k", 7)).await.unwrap();
    broken.store(true, Ordering::SeqCst);
    assert!(store.claim(9, LEASE).await.is_err());
    broken.store(false, Ordering::SeqCst);
    assert_eq!(store.claim(9, LEASE).await.unwrap().len(), 1);
}
